"""What a demonstration starts with: a synthetic cohort, real studies where there are any, and two projects."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from hub_config.compute.admission import Admission
from hub_config.compute.server_plan import Image
from hub_config.errors import LightboxError, ServiceError
from hub_config.instance import Instance
from hub_config.paths import ROOT
from hub_config.services.dev_idp import personas

_BY = "operator:demonstration"
_SEED = 20260101
_SYNTH_SECONDS = 600


def seed_demo(instance: Instance, say: Callable[[str], None]) -> None:
    """Fill the store of a demonstration that is new; anything half-made by a killed run is completed.

    Raises
    ------
    ServiceError
        The synthetic cohort cannot be made.
    """
    if not instance.settings.uses_dev_idp:
        return
    marker = instance.state / "demo-seeded"
    if marker.exists():
        return
    for stale in instance.state.glob(".cohort-*"):  # of an `up` that was killed
        shutil.rmtree(stale)
    admission = Admission(instance, lambda name: Image("none", None))
    try:
        _seed_synthetic(instance, admission, say)
        _seed_real(instance, admission, say)
    finally:
        admission.store.close()
    marker.touch()


def _seed_synthetic(instance: Instance, admission: Admission, say: Callable[[str], None]) -> None:
    patients = instance.settings.demo_patients
    say(f"Making a synthetic prostate MRI cohort ({patients} {'patient' if patients == 1 else 'patients'})")
    with tempfile.TemporaryDirectory(dir=instance.state, prefix=".cohort-") as folder:
        cohort = Path(folder) / "cohort"
        make_cohort(cohort, patients, _SEED)
        admission.catalogue.add("synthetic-prostate", cohort, "Synthetic prostate MRI", _BY)
    _project(
        admission,
        "prostate-ai",
        "Prostate AI",
        "Demonstration project on the synthetic cohort.",
        ("researcher", "radiologist"),
        "synthetic-prostate",
    )


def _seed_real(instance: Instance, admission: Admission, say: Callable[[str], None]) -> None:
    source = real_data(instance) / "prostatex"
    if not source.is_dir():
        say(f"No real studies in {source.parent}: the demonstration has the synthetic cohort only")
        return
    say("Registering the real PROSTATEx studies as a second dataset")
    try:
        admission.catalogue.add("prostatex", source, "PROSTATEx (The Cancer Imaging Archive, CC BY 3.0)", _BY)
    except LightboxError as error:  # a demonstration without real studies is one all the same
        say(f"The real studies are left out. {error}")
        return
    _project(
        admission,
        "prostatex-reading",
        "PROSTATEx reading",
        "Demonstration project on real, public studies.",
        ("radiologist",),
        "prostatex",
    )


def real_data_is_there(instance: Instance) -> bool:
    """Whether the demonstration of this instance holds the real studies."""
    return (instance.datasets / "prostatex" / "v1").is_dir()


def make_cohort(folder: Path, patients: int, seed: int) -> None:
    """Let ``curate synth`` make a cohort; the hub itself imports nothing of the image library.

    Raises
    ------
    ServiceError
        It fails; its last words are in the message.
    """
    # The child ends with us: what a killed `up` leaves behind must not go on writing.
    command = [
        "setpriv",
        "--pdeathsig",
        "KILL",
        str(Path(sys.executable).parent / "curate"),
        "synth",
        "--out",
        str(folder),
    ]
    command += ["--patients", str(patients), "--seed", str(seed), "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=_SYNTH_SECONDS, check=False)
    if done.returncode:
        raise ServiceError(f"The synthetic cohort could not be made:\n{done.stderr[-1500:]}")
    json.loads(done.stdout)


def real_data(instance: Instance) -> Path:
    """Return the folder of real DICOM: the setting, then LIGHTBOX_DATA, then ../shared/data of the checkout."""
    if instance.settings.demo_data is not None:
        return instance.settings.demo_data
    named = os.environ.get("LIGHTBOX_DATA")
    return Path(named) if named else ROOT.parent / "shared" / "data"


def _project(
    admission: Admission, project: str, title: str, description: str, members: tuple[str, ...], dataset: str
) -> None:
    if project not in {info.id for info in admission.projects.all()}:
        admission.projects.add(project, title, description, _BY)
    subjects = {persona.key: persona.subject for persona in personas()}
    for member in members:
        admission.projects.decide_member(project, f"sub:{subjects[member]}", True, _BY)
    if not admission.grants.live(project):
        admission.grants.grant(project, admission.catalogue.get(dataset), None, _BY)
