"""Cold moves on libvirt: snapshot, copy over libvirt's own connection, put together, put back."""
