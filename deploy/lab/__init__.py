"""Libvirt hosts in namespaces of one machine: what tests, benches and people move guests on."""
