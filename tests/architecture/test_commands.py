"""What messages and documents tell to type is there to be typed."""

import configparser
import re

NAMED = re.compile(r"(?<!--os-cloud )\bwhimbrel ([a-z]+(?:-[a-z]+)*) ([a-z]+(?:-[a-z]+)*)")
FOREIGN = re.compile(r"see[^\"\n]*: (?:openstack|nova) ")


def test_every_command_that_is_named_exists(modules, root):
    """A command in a message or in the documents is a row of setup.cfg."""
    setup = configparser.ConfigParser()
    setup.read(root / "setup.cfg")
    known = {
        tuple(name.split("_")) for name in setup["options.entry_points"]["whimbrel.cli"].split()
    }
    nouns = {words[0] for words in known}
    texts = {one.name: one.text for one in modules if not one.name.startswith("tests/")}
    texts |= {str(path.relative_to(root)): path.read_text() for path in _documents(root)}

    found = {
        f"{name}: {' '.join(words)}"
        for name, text in texts.items()
        for words in NAMED.findall(text)
        if words[0] in nouns and words not in known
    }

    assert set() == found


def test_no_message_leads_to_another_client(modules):
    """The openstack client is not installed with us."""
    assert [] == [one.name for one in modules if FOREIGN.search(one.text)]


def _documents(root):
    return [root / "README.md", *sorted((root / "doc").glob("*.md"))]
