import json
import pathlib

import pytest

from services.compute.virt.libvirt import kvm


class Probe:
    """Answers as told, and counts how often it was asked."""

    def __init__(self, answer: bool) -> None:  # noqa: FBT001 - it is all it knows
        self.answer = answer
        self.asked = 0

    def __call__(self, rom: pathlib.Path) -> bool:
        self.asked += 1
        return self.answer


@pytest.mark.parametrize("answer", [True, False])
def test_answer_is_kept_until_the_next_boot(tmp_path, answer):
    """The guest runs once per boot; later starts read the answer."""
    probe = Probe(answer)

    answers = [kvm.works(tmp_path, "host1", probe) for _ in range(2)]

    assert ([answer, answer], 1) == (answers, probe.asked)


@pytest.mark.parametrize("kept", [json.dumps({"boot": "another", "works": True}), "", "{"])
def test_answer_of_another_boot_does_not_count(tmp_path, kept):
    """A new kernel may have lost KVM, and a broken file knows nothing."""
    (tmp_path / ".whimbrel-kvm-host1").write_text(kept)

    assert not kvm.works(tmp_path, "host1", Probe(False))


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("flags\t\t: fpu vmx sse", True),
        ("flags\t\t: fpu svm", True),
        ("flags\t\t: fpu svm_lock hypervisor", False),
        ("model name\t: vmx", False),
    ],
)
def test_processor_must_have_the_extension(flags, expected):
    """A /dev/kvm on a processor without it runs short guests and hangs kernels."""
    assert expected == kvm.extended(f"processor\t: 0\n{flags}\n")


def test_without_the_device_there_is_no_kvm(tmp_path, monkeypatch):
    """No device: nothing is started."""
    monkeypatch.setattr(kvm, "DEVICE", tmp_path / "none")

    assert not kvm.run(tmp_path / "rom")
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("script", "expected"),
    [(f"exit {kvm.PROVEN}", True), ("exit 1", False), ("exec sleep 60", False)],
    ids=["ran", "failed", "hung"],
)
def test_only_a_guest_that_ended_by_itself_proves_kvm(tmp_path, monkeypatch, script, expected):
    """One that fails, and one that hangs, do not; no file stays."""
    emulator = tmp_path / "emulator"
    emulator.write_text(f"#!/bin/sh\n{script}\n")
    emulator.chmod(0o755)
    processors = tmp_path / "cpuinfo"
    processors.write_text("flags : vmx\n")
    monkeypatch.setattr(kvm, "DEVICE", emulator)
    monkeypatch.setattr(kvm, "PROCESSORS", processors)
    monkeypatch.setattr(kvm, "EMULATOR", str(emulator))
    monkeypatch.setattr(kvm, "LIMIT", 0.5)

    assert expected == kvm.run(tmp_path / "rom")
    assert not (tmp_path / "rom").exists()
