"""`whimbrel-manage image add` and `image list`: what is in the image store."""

from __future__ import annotations

import argparse
import pathlib
import sys
from typing import Any

from oslo_config.cfg import ConfigOpts

from common import errors
from common import images
from common import objects

NAME = "image"


def register(subparsers: Any) -> None:  # noqa: ANN401 - argparse's own type for this is private
    """Declare the subcommand and its arguments."""
    parser = subparsers.add_parser(NAME, help="the images that servers boot from")
    verbs = parser.add_subparsers(dest="verb", required=True)
    adding = verbs.add_parser("add", help="copy an image into the store, with its checksum")
    adding.add_argument("--name", required=True)
    adding.add_argument("--file", required=True, type=pathlib.Path, help="raw or qcow2 disk")
    adding.add_argument("--kernel", type=pathlib.Path, help="boot this kernel directly")
    adding.add_argument("--ramdisk", type=pathlib.Path, help="with this initial ramdisk")
    adding.add_argument("--min-disk", type=int, default=0, help="GiB that a flavor must have")
    adding.add_argument("--min-ram", type=int, default=0, help="MiB that a flavor must have")
    adding.add_argument("--property", action="append", default=[], metavar="KEY=VALUE")
    verbs.add_parser("list", help="name the images in the store")


def run(conf: ConfigOpts, args: argparse.Namespace) -> int:
    """Do what the command line says and give the exit status."""
    lines = _add(conf, args) if args.verb == "add" else _list(conf)
    for line in lines:
        sys.stdout.write(f"{line}\n")
    return 0


def _list(conf: ConfigOpts) -> list[str]:
    return [
        f"{image.id}  {image.name}  {image.disk_format}  {image.size}"
        for image in images.Store(conf.image.store).all()
    ]


def _add(conf: ConfigOpts, args: argparse.Namespace) -> list[str]:
    """Add the disk, after its kernel and ramdisk, and give its id."""
    store = images.source(conf.image.store)
    if not isinstance(store, images.Directory):
        raise errors.Invalid(
            f"the image store {conf.image.store} is read-only from here; "
            "add images on the machine that serves it"
        )
    properties = dict(_pair(text) for text in args.property)
    for part, kind in (("kernel", "aki"), ("ramdisk", "ari")):
        file = getattr(args, part)
        if file:
            made = _put(store, file, name=f"{args.name}-{part}", disk_format=kind)
            properties[f"{part}_id"] = made.id
    made = _put(
        store,
        args.file,
        name=args.name,
        min_disk=args.min_disk,
        min_ram=args.min_ram,
        properties=properties,
    )
    return [made.id]


def _put(store: images.Directory, file: pathlib.Path, **values: Any) -> objects.Image:  # noqa: ANN401 - fields of Image
    try:
        return store.add(file, **values)
    except OSError as wrong:
        raise errors.Invalid(f"{file} cannot be added: {wrong}") from wrong


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise errors.Invalid(f"--property {text} is not of the form KEY=VALUE")
    return key, value
