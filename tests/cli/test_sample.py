import io
import tarfile

from agent.cli import sample


def test_the_image_holds_busybox_under_its_names() -> None:
    with tarfile.open(fileobj=io.BytesIO(sample.build_context(b"the program"))) as context:
        dockerfile, rootfs = context.extractfile("Dockerfile"), context.extractfile("rootfs.tar")
        assert dockerfile
        assert rootfs
        assert dockerfile.read().startswith(b"FROM scratch\n")
        with tarfile.open(fileobj=io.BytesIO(rootfs.read())) as root:
            program = root.getmember("bin/busybox")
            assert (program.size, program.mode) == (len(b"the program"), 0o755)
            assert root.getmember("bin/sh").linkname == "busybox"


def test_the_same_program_makes_the_same_image() -> None:
    assert sample.build_context(b"x") == sample.build_context(b"x")


def test_both_samples_use_the_image_that_can_be_pulled_from_nowhere() -> None:
    for one in (sample.STAYS, sample.ENDS):
        assert "'image': 'dockworker.invalid/sample:1'" in str(one.definition())
