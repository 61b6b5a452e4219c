"""Motion correction and co-registration against DIPY (as the ProCancer-I tool runs it), SimpleITK and ANTs.

Time is end to end on volumes in memory: finding the transforms, guards included, and resampling all moving volumes;
DIPY resamples with its own. Medians of rounds in turn. Error is on moved real volumes of another b-value or of late
contrast, on points of the body, with what is left between the unmoved pair removed; `tre_mean_mm` and `tre_p95_mm`
pool seeds 0 to 9 (up to 6 mm and 4 degrees), of DWI and DCE the worse; `failures` counts means above 1 mm over seeds
0 to 12 (up to 14 mm and 9 degrees) of `cases`.
"""

from __future__ import annotations

import dataclasses
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.support import peers
from benchmarks.support.simulated_motion import ALL_SEEDS, SMALL_SEEDS, Case, cross_track, real_series
from curation import Volume
from curation.geometry import apply_affine
from curation.registration import lightbox_engine
from curation.registration.coregister import coregister
from curation.registration.parameters import default_parameters
from curation.registration.results import ResampledVolumes

Array = NDArray[np.float64]
Method = Callable[[Volume, Volume], Array]

OUR_ROUNDS = int(os.environ.get("LIGHTBOX_BENCH_ROUNDS", "3"))
_FAILURE_MM = 1.0
_FIRST_CALL = """
import sys, time
started = time.perf_counter()
from benchmarks.registration import first_call
first_call(sys.argv[1])
print(time.perf_counter() - started)
"""


def main() -> None:
    """Measure all and print one JSON object."""
    result: dict[str, Any] = {}
    methods = _methods()
    errors = {name: {data: _errors(method, data) for data in ("dwi", "dce")} for name, method in methods.items()}
    ours = errors["lightbox"]
    result |= _ratios()
    result["tre_mean_mm"] = max(ours[data]["mean_mm"] for data in ours)
    result["tre_p95_mm"] = max(ours[data]["p95_mm"] for data in ours)
    result["failures"] = sum(ours[data]["failures"] for data in ours)
    result["cases"] = sum(ours[data]["cases"] for data in ours)
    result["errors"] = errors
    result["first_call_seconds"] = {engine: _first_call(engine) for engine in ("lightbox", "dipy")}
    result["memory_per_series"] = _memory()
    result["landmarks"] = _landmarks()
    sys.stdout.write(json.dumps(result) + "\n")


def _methods() -> dict[str, Method]:
    methods: dict[str, Method] = {"lightbox": peers.lightbox, "dipy": peers.dipy}
    for name, package, method in (("simpleitk", "SimpleITK", peers.simpleitk), ("ants", "ants", peers.ants)):
        if peers.installed(package):
            methods[name] = method
    return methods


def _errors(method: Method, data: str) -> dict[str, Any]:
    """Return the error of a method on one series."""
    left: dict[int, Array] = {}
    small: list[Array] = []
    means, seconds = [], []
    for case in cross_track(real_series(data)[1], ALL_SEEDS):
        started = time.perf_counter()
        pose = method(case.fixed, case.moving)
        seconds.append(time.perf_counter() - started)
        if case.seed < 0:
            left[case.pair] = pose
            continue
        error = _error(case, pose, left[case.pair])
        means.append(float(error.mean()))
        if case.seed in SMALL_SEEDS:
            small.append(error)
    pooled = np.concatenate(small)
    _say(f"{data}: mean {pooled.mean():.3f} mm, worst {max(means):.2f} mm, {statistics.median(seconds) * 1e3:.0f} ms")
    return {
        "mean_mm": round(float(pooled.mean()), 3),
        "p95_mm": round(float(np.percentile(pooled, 95)), 3),
        "worst_mean_mm": round(max(means), 3),
        "failures": sum(mean > _FAILURE_MM for mean in means),
        "cases": len(means),
        "seconds_per_volume": round(statistics.median(seconds), 4),
    }


def _error(case: Case, pose: Array, unmoved: Array) -> Array:
    return np.asarray(
        np.linalg.norm(apply_affine(pose, case.points) - apply_affine(case.truth @ unmoved, case.points), axis=1)
    )


def _ratios() -> dict[str, Any]:
    """Time both engines in turn; the first round warms up and does not count."""
    seconds: dict[str, dict[str, list[float]]] = {}
    for task in ("dwi", "dce", "t2"):
        volumes, static = _inputs(task)
        seconds[task] = {"lightbox": [], "dipy": []}
        for _ in range(OUR_ROUNDS + 1):
            for engine, run in (("lightbox", _lightbox_task), ("dipy", _dipy_task)):
                started = time.perf_counter()
                run(task, volumes, static)
                seconds[task][engine].append(time.perf_counter() - started)
    medians = {
        task: {engine: statistics.median(values[1:]) for engine, values in engines.items()}
        for task, engines in seconds.items()
    }
    ratios = {f"{task}_ratio": round(values["dipy"] / values["lightbox"], 1) for task, values in medians.items()}
    _say(f"{ratios}")
    return {**ratios, "seconds": {task: {k: round(v, 4) for k, v in e.items()} for task, e in medians.items()}}


def _inputs(task: str) -> tuple[list[Volume], Volume | None]:
    study, series = real_series("dwi" if task == "t2" else task)
    volumes = [series.volume(k) for k in range(series.n_volumes)]
    if task != "t2":
        return volumes, None
    assert study.default_static is not None
    return volumes[:1], study.default_static.volume()


def _lightbox_task(task: str, volumes: list[Volume], static: Volume | None) -> None:
    """Find the transforms and resample all moving volumes, as `motion_correct` and `coregister` do."""
    if static is not None:
        from curation.registration import earned

        verdict = earned.register(static, volumes[0], default_parameters("lightbox", "coregistration"))
        transforms = np.repeat(verdict.candidate[np.newaxis], len(volumes), axis=0)
        grid = static
    else:
        parameters = default_parameters("lightbox", "motion_correction")
        transforms, _ = lightbox_engine.motion_transforms(volumes, 0, parameters)
        # A volume that is left as acquired costs nothing: here each is interpolated, as a moved one would be.
        transforms = np.stack([np.eye(4), *(transform @ _NUDGE for transform in transforms[1:])])
        grid = volumes[0]
    ResampledVolumes(volumes, transforms, grid.affine, grid.shape, "")[:]


_NUDGE = np.eye(4)
_NUDGE[0, 3] = 0.01


def _dipy_task(task: str, volumes: list[Volume], static: Volume | None) -> None:
    """Do the same with DIPY, as the document sets it."""
    if static is not None:
        peers.dipy_resample(volumes[0], peers.dipy_to_static(static, volumes[0]), static)
        return
    from curation.registration.dipy_engine import motion_transforms

    transforms = motion_transforms(volumes, 0, default_parameters("dipy", "motion_correction"))
    for volume, transform in zip(volumes[1:], transforms[1:], strict=True):
        peers.dipy_resample(volume, np.linalg.inv(transform), volumes[0])


def first_call(engine: str) -> None:
    """Correct one DWI series, as the first thing a process does."""
    volumes, _ = _inputs("dwi")
    (_lightbox_task if engine == "lightbox" else _dipy_task)("dwi", volumes, None)


def _first_call(engine: str) -> float:
    """Return the seconds from the start of the imports to the first result, in a fresh process."""
    done = subprocess.run([sys.executable, "-c", _FIRST_CALL, engine], capture_output=True, text=True, check=True)
    return round(float(done.stdout), 2)


_MEMORY = """
from benchmarks.registration import memory_growth
print(memory_growth())
"""


def memory_growth() -> float:
    """Return by how much memory grows, loading included, in multiples of a DCE series of 60 volumes in float32."""
    from curation.registration.motion import motion_correct

    series = real_series("dce")[1]
    motion_correct(series)  # imports and compiled code are not the series'
    shape = (60, *series.shape[1:])
    long = dataclasses.replace(series, shape=shape, source=lambda k: series.source(k % series.n_volumes))
    before = _peak_bytes()
    result = motion_correct(long)
    for volume in result.volumes:
        volume.array.max()
    return float((_peak_bytes() - before) / (np.prod(shape) * 4))


def _peak_bytes() -> int:
    """Return the largest resident size of this process since it began (proc(5), VmHWM)."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def _memory() -> float:
    done = subprocess.run([sys.executable, "-c", _MEMORY], capture_output=True, text=True, check=True)
    return round(float(done.stdout), 2)


def _landmarks() -> dict[str, Any]:
    """Return how far hand-placed landmarks lie apart, mean and standard error, by each alignment."""
    from benchmarks.landmarks.landmarks import landmark_error, load

    result: dict[str, Any] = {}
    for name, data in (("prostatex_0000_dwi_t2", "dwi"), ("prostatex_0218_dce_t2", "dce")):
        study, series = real_series(data)
        assert study.default_static is not None
        landmarks = load(name)
        ours = coregister(series, study.default_static)
        static, reference = study.default_static.volume(), series.volume(0)
        ways = {
            "scanner": np.eye(4),
            "lightbox_found": ours.candidate,
            "lightbox_used": ours.transform,
            "dipy": np.linalg.inv(peers.dipy_to_static(static, reference)),
        }
        errors = {way: landmark_error(landmarks, transform) for way, transform in ways.items()}
        result[name] = {
            "pairs": len(errors["scanner"]),
            "accepted": ours.accepted,
            **{way: _summary(values) for way, values in errors.items()},
        }
    return result


def _summary(values: Array) -> dict[str, float]:
    return {
        "mean_mm": round(float(values.mean()), 2),
        "median_mm": round(float(np.median(values)), 2),
        "worst_mm": round(float(values.max()), 2),
    }


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


if __name__ == "__main__":
    main()
