"""Names, locks, keys and archives of images."""

import hashlib
import json
import tarfile
from pathlib import Path

import pytest

from tests.cluster import bases, images, oci, wheels

DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("tag", "reference"),
    [
        ("app", "docker.io/library/app:latest"),
        ("app:1.0", "docker.io/library/app:1.0"),
        ("team/app:1.0", "docker.io/team/app:1.0"),
        ("localhost/app:1.0", "localhost/app:1.0"),
        ("localhost:5000/app", "localhost:5000/app:latest"),
        ("registry.example/team/app:1.0", "registry.example/team/app:1.0"),
    ],
)
def test_an_image_is_named_as_kubernetes_will_look_for_it(tag: str, reference: str) -> None:
    assert images.full_reference(tag) == reference


def test_a_full_reference_stays_as_it_is() -> None:
    assert images.full_reference(images.full_reference("app")) == "docker.io/library/app:latest"


def test_the_lock_files_of_a_build_are_the_hashed_requirements_that_it_copies(tmp_path: Path) -> None:
    (tmp_path / "locked.txt").write_text(f"a==1 --hash={DIGEST}\n")
    (tmp_path / "loose.txt").write_text("a\n")
    (tmp_path / "unused.txt").write_text(f"a==1 --hash={DIGEST}\n")
    dockerfile = tmp_path / "Dockerfile"
    dockerfile.write_text(
        "FROM base\nCOPY --chown=1:1 locked.txt \\\n  loose.txt absent.txt /build/\n"
        "COPY --from=build unused.txt /\nRUN cat unused.txt\n"
    )
    assert images.lock_files(dockerfile, tmp_path) == [tmp_path / "locked.txt"]


def test_the_wheels_key_changes_with_each_file_and_its_order_and_the_machine() -> None:
    keys = [
        wheels.key(contents, machine)
        for machine in ("x86_64", "aarch64")
        for contents in ([b"a"], [b"b"], [b"a", b"b"], [b"b", b"a"], [b"ab"])
    ]
    assert len(set(keys)) == len(keys)


def test_wheels_for_newer_systems_are_preferred() -> None:
    tags = wheels.platforms("x86_64")
    assert (
        tags.index("manylinux_2_28_x86_64") < tags.index("manylinux_2_17_x86_64") < tags.index("manylinux2014_x86_64")
    )


def test_the_tag_of_a_base_changes_with_its_recipe() -> None:
    other = bases.Base(bases.RUNTIME.name, "essential", (*bases.RUNTIME.packages, "tzdata"), bases.RUNTIME.hooks)
    assert other.reference != bases.RUNTIME.reference
    assert other.reference.partition(":")[0] == bases.RUNTIME.reference.partition(":")[0]


@pytest.mark.parametrize(
    ("printed", "mirror"),
    [
        ("mirror://one/security/ Debian Debian-Security\nmirror://two/debian/ Debian Debian\n", "mirror://two/debian/"),
        ("mirror://one/ubuntu/ Ubuntu Ubuntu\n", None),
        ("", None),
    ],
)
def test_base_images_come_from_the_debian_mirror_of_the_machine(printed: str, mirror: str | None) -> None:
    assert bases.debian_mirror(printed) == mirror


@pytest.fixture
def layer(tmp_path: Path) -> Path:
    (tmp_path / "program").write_bytes(b"\x7fELF")
    oci.layer_with_file(tmp_path / "layer.tar", tmp_path / "program", "/program")
    return tmp_path / "layer.tar"


def test_an_archive_holds_what_its_digests_say(layer: Path, tmp_path: Path) -> None:
    digest = oci.write(tmp_path / "image.tar", "localhost/app:1", layer, {"Entrypoint": ["/program"]})
    with tarfile.open(tmp_path / "image.tar") as tar:
        blobs = {
            name: tar.extractfile(name).read()  # type: ignore[union-attr]
            for name in tar.getnames()
            if name.startswith("blobs/sha256/")
        }
    for name, content in blobs.items():
        assert name.rpartition("/")[2] == hashlib.sha256(content).hexdigest()
    manifest = json.loads(blobs["blobs/" + digest.replace(":", "/")])
    assert [entry["digest"].replace(":", "/") for entry in [manifest["config"], *manifest["layers"]]] == [
        name.removeprefix("blobs/") for name in blobs if not name.endswith(digest.partition(":")[2])
    ]
    assert oci.manifest_digest(tmp_path / "image.tar") == digest


def test_the_same_program_makes_the_same_image(layer: Path, tmp_path: Path) -> None:
    first, second = (oci.write(tmp_path / f"{turn}.tar", "localhost/app:1", layer, {}) for turn in ("one", "two"))
    assert first == second
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
