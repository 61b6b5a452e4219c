"""The male pelvis as solids, painted one over the other.

Axes are parallel to LPS with the origin in the middle of the prostate: x to the left, y to posterior, z to
superior, mm.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from curation.synthetic.patients import Patient
from curation.synthetic.shapes import Capsule, Common, Ellipsoid, HalfSpace, Shape, Shell, Vector
from curation.synthetic.tissues import Tissue

_SIDES = (-1.0, 1.0)


@dataclass(frozen=True)
class Painted:
    """A solid of one tissue; `blur_mm` widens its border beyond the size of a voxel."""

    shape: Shape
    tissue: Tissue
    blur_mm: float = 0.0


def pelvis(patient: Patient) -> tuple[Painted, ...]:
    """Return everything, from the skin inwards; later solids cover earlier ones."""
    return (
        *_body(patient),
        *_strands(patient),
        *_bones(),
        *_muscles(patient),
        *_bladder(patient),
        *_rectum(patient),
        *_around_the_gland(patient),
        *_gland(patient),
        *_lesion(patient),
    )


def gland(patient: Patient) -> Ellipsoid:
    """Return the outline of the prostate."""
    return Ellipsoid((0.0, 0.0, 0.0), patient.gland_radii)


def lesion_shape(patient: Patient) -> Shape | None:
    """Return the lesion as far as it lies inside the capsule, None without one."""
    lesion = patient.lesion
    if lesion is None:
        return None
    within = Ellipsoid((0.0, 0.0, 0.0), _grown(patient.gland_radii, -1.2))
    return Common((Ellipsoid(lesion.centre, lesion.radii, (0.0, 0.0, lesion.turn_degrees)), within))


def _grown(radii: Vector, margin: float) -> Vector:
    return radii[0] + margin, radii[1] + margin, radii[2] + margin


def _tall(centre: Vector, radii: tuple[float, float], turn: float = 0.0) -> Ellipsoid:
    """Return an upright elliptical cylinder, as an ellipsoid too tall for its ends to be seen."""
    return Ellipsoid(centre, (radii[0], radii[1], 1500.0), (0.0, 0.0, turn))


def _body(patient: Patient) -> Iterator[Painted]:
    yield Painted(_tall((0, 14, 0), (188, 112 + patient.fat_mm)), Tissue.FAT)
    for side in _SIDES:
        # Gluteus maximus behind, thigh muscles in front.
        yield Painted(Ellipsoid((side * 62, 80, -20), (58, 24, 120), (0, 0, side * -32)), Tissue.MUSCLE)
        for depth in (-10, 6):  # fat between its bundles
            centre = (side * (62 + 0.53 * depth), 80 + 0.85 * depth, -20)
            yield Painted(Ellipsoid(centre, (46 + depth, 0.5, 110), (0, 0, side * (-32 + depth / 2))), Tissue.FAT, 1.4)
        yield Painted(Ellipsoid((side * 100, -48, -55), (43, 37, 85)), Tissue.MUSCLE)
        yield Painted(Ellipsoid((side * 92, -52, -50), (1.0, 40, 85), (0, 0, side * 20)), Tissue.FAT, 1.0)
        yield Painted(Ellipsoid((side * 47, -60, -48), (24, 13, 50), (0, 0, side * 32)), Tissue.MUSCLE)
        yield Painted(Ellipsoid((side * 45, -57, -48), (22, 0.8, 48), (0, 0, side * 30)), Tissue.FAT, 0.8)
        yield Painted(Ellipsoid((side * 21, -68, 70), (23, 7.5, 82)), Tissue.MUSCLE)  # rectus abdominis


def _strands(patient: Patient) -> Iterator[Painted]:
    """Fine dark septa and vessels that run through the fat behind and in front of the organs."""
    rng = patient.random(6)
    for _ in range(90):
        start = rng.uniform((-75, -85, -45), (75, 85, 50))
        end = start + rng.normal(0, 9, size=3)
        yield Painted(Capsule(_vector(start), _vector(end), float(rng.uniform(0.2, 0.55))), Tissue.MUSCLE, 0.7)


def _bone(shape: Ellipsoid, cortex: float = 1.8) -> Iterator[Painted]:
    yield Painted(shape, Tissue.CORTICAL_BONE)
    inner = _grown(shape.radii, -cortex)
    yield Painted(Ellipsoid(shape.centre, inner, shape.turn), Tissue.MARROW)


def _bones() -> Iterator[Painted]:
    for side in _SIDES:
        yield from _bone(Ellipsoid((side * 92, -16, 34), (25, 25, 25)), 1.5)  # femoral head
        yield from _bone(Ellipsoid((side * 62, 6, 36), (8, 30, 34), (0, 0, side * -16)))  # acetabulum
        yield from _bone(Ellipsoid((side * 62, 27, -12), (12, 15, 44), (0, 0, side * -20)))  # ischium
        yield from _bone(Ellipsoid((side * 40, -38, 2), (31, 7.5, 8), (0, 0, side * 28)), 1.5)  # superior ramus
        yield from _bone(Ellipsoid((side * 12.5, -50, -6), (10.5, 11.5, 19), (0, 0, side * 38)), 1.5)  # pubis
    yield Painted(Ellipsoid((0, -49, -6), (2.4, 9, 17)), Tissue.CARTILAGE)  # symphysis
    yield from _bone(Ellipsoid((0, 64, 38), (13, 6.5, 34), (24, 0, 0)), 1.5)  # coccyx and sacrum


def _muscles(patient: Patient) -> Iterator[Painted]:
    width = patient.gland_radii[0]
    for side in _SIDES:
        # Obturator internus lies along the inner wall of the pelvis.
        yield Painted(Ellipsoid((side * (width + 19), 2, 4), (8.5, 34, 44), (0, 0, side * -13)), Tissue.MUSCLE)
        yield Painted(Ellipsoid((side * 33, 58, 10), (26, 4.5, 30), (0, 0, side * -25)), Tissue.MUSCLE)
    # Levator ani: a sling beside the gland and the rectum, open in front.
    sling = Shell(Ellipsoid((0, 14, -16), (width + 5.5, 38, 46)), 2.6)
    lower = HalfSpace((0, 0, 1), 14)
    behind = HalfSpace((0, -1, 0), 10)
    yield Painted(Common((sling, lower, behind)), Tissue.MUSCLE)


def _bladder(patient: Patient) -> Iterator[Painted]:
    radius, top = patient.bladder_radius, patient.gland_radii[2]
    centre = (0.0, -14.0, top + 0.62 * radius)
    outer = (1.35 * radius, 1.02 * radius, 0.8 * radius)
    yield Painted(Ellipsoid(centre, outer), Tissue.WALL)
    yield Painted(Ellipsoid(centre, _grown(outer, -3.2)), Tissue.URINE)


def _rectum(patient: Patient) -> Iterator[Painted]:
    back = patient.gland_radii[1]
    path: tuple[Vector, ...] = (
        (0, back + 20, -75), (0, back + 10, -32), (1, back + 13, 4), (2, back + 19, 34), (5, back + 33, 72)
    )  # fmt: skip
    legs = list(itertools.pairwise(path))
    yield from (Painted(Capsule(a, b, 12.2), Tissue.WALL) for a, b in legs)
    yield from (Painted(Capsule(a, b, 10.2), Tissue.MUCOSA) for a, b in legs)
    yield from (Painted(Capsule(a, b, 7.6), Tissue.STOOL, 1.0) for a, b in legs)
    if patient.gas_radius > 2:
        centre = (1.0, back + 13 - (8.0 - patient.gas_radius), 4.0)
        yield Painted(Ellipsoid(centre, (patient.gas_radius, 0.9 * patient.gas_radius, 24)), Tissue.AIR)


def _around_the_gland(patient: Patient) -> Iterator[Painted]:
    width, depth, height = patient.gland_radii
    rng = patient.random(1)
    for side in _SIDES:
        yield from _seminal_vesicle(rng, side, depth, height)
        for _ in range(5):  # neurovascular bundle, at five and seven o'clock
            x, y = side * width * rng.uniform(0.62, 0.84), depth * rng.uniform(0.78, 1.02)
            yield _vessel(rng, (float(x), float(y)), height)
        for _ in range(7):  # periprostatic veins beside and in front of the gland
            angle = np.radians(rng.uniform(15, 85))
            x, y = side * (width + 3) * np.cos(angle), -(depth + 3.5) * np.sin(angle)
            yield _vessel(rng, (float(x), float(y)), height)
    yield Painted(Ellipsoid((0, -depth - 6, -3), (13, 4.2, height * 0.8)), Tissue.VEIN, 1.5)  # dorsal veins
    yield Painted(Ellipsoid((0, 1, -height - 14), (6.5, 6.5, 12)), Tissue.STROMA)  # external sphincter
    yield Painted(Capsule((0, 1, -height - 26), (0, 1, -height), 1.6), Tissue.PERIPHERAL_ZONE)  # urethra
    yield Painted(Ellipsoid((0, -4, -height - 32), (11, 12, 9)), Tissue.VEIN, 1.0)  # bulb of the penis


def _seminal_vesicle(rng: np.random.Generator, side: float, depth: float, height: float) -> Iterator[Painted]:
    base = np.array([side * 15.0, depth + 3.0, height + 4.0])
    yield Painted(Ellipsoid(_vector(base), (15, 5.5, 6.5), (0, side * -18, side * -8)), Tissue.WALL)
    for _ in range(16):  # convoluted tubules
        spot = base + rng.uniform((-11, -3, -4), (11, 3, 4)) + (0, 0, 0)
        spot[2] += side * 0.3 * (spot[0] - base[0])
        radius = float(rng.uniform(1.6, 2.7))
        yield Painted(Ellipsoid(_vector(spot), (1.4 * radius, radius, radius)), Tissue.SEMINAL_FLUID)
    yield Painted(Ellipsoid((side * 3.4, depth - 1, height + 3), (2.6, 2.6, 9)), Tissue.WALL)  # vas deferens


def _vessel(rng: np.random.Generator, place: tuple[float, float], height: float) -> Painted:
    sway = rng.uniform(-2, 2, size=2)
    start = (place[0], place[1], -0.8 * height)
    end = (place[0] + float(sway[0]), place[1] + float(sway[1]), 0.8 * height)
    return Painted(Capsule(start, end, float(rng.uniform(0.8, 1.5))), Tissue.VEIN)


def _gland(patient: Patient) -> Iterator[Painted]:
    width, depth, height = patient.gland_radii
    share = patient.transition_share
    outline = gland(patient)
    yield Painted(Ellipsoid(outline.centre, _grown(outline.radii, 0.6)), Tissue.CAPSULE)
    yield Painted(Ellipsoid(outline.centre, _grown(outline.radii, -0.5)), Tissue.PERIPHERAL_ZONE)
    yield from _septa(patient)
    central = Ellipsoid((0, 0.42 * depth, 0.62 * height), (0.42 * width, 0.26 * depth, 0.3 * height))
    yield Painted(Common((central, outline)), Tissue.CENTRAL_ZONE, 1.0)
    for side in _SIDES:
        yield Painted(_lobe(patient, side, margin=0.7), Tissue.CAPSULE)  # surgical capsule
    for side in _SIDES:
        yield Painted(_lobe(patient, side), Tissue.TRANSITION_ZONE)
    yield from _nodules(patient)
    front = Ellipsoid((0, -0.86 * depth, 0), (0.5 * width, 0.24 * depth, 0.8 * height))
    yield Painted(Common((front, outline)), Tissue.STROMA, 1.2)
    yield Painted(Capsule((0, -0.15 * depth, 0.9 * height), (0, 0.1 * depth, -0.1 * height), 3.0), Tissue.STROMA, 1.0)
    bend = (0, 0.1 * depth, -0.1 * height)
    yield Painted(Capsule(bend, (0, 0.05, -height), 2.2), Tissue.GLANDULAR_NODULE, 0.6)  # urethra below the bend
    yield Painted(Ellipsoid((0, 0.16 * depth, -0.05 * height), (2.0, 2.6, 5.0)), Tissue.PERIPHERAL_ZONE, 0.5)
    yield Painted(Ellipsoid((0, 0, 0), (0.9, 0.9, 0.9 * share)), Tissue.URINE)  # utricle


def _lobe(patient: Patient, side: float, margin: float = 0.0) -> Common:
    """Return one half of the transition zone, as far as it lies within the capsule."""
    within = Ellipsoid((0.0, 0.0, 0.0), _grown(patient.gland_radii, -1.4 + margin))
    lobe = _whole_lobe(patient, side)
    return Common((Ellipsoid(lobe.centre, _grown(lobe.radii, margin)), within))


def _whole_lobe(patient: Patient, side: float) -> Ellipsoid:
    width, depth, height = patient.gland_radii
    share = patient.transition_share
    centre = (side * 0.42 * width * share, -0.34 * depth, 0.26 * height)
    return Ellipsoid(centre, (0.66 * width * share, 0.95 * depth * share, 0.98 * height * share**0.5))


def _septa(patient: Patient) -> Iterator[Painted]:
    """Thin dark strands that radiate through the peripheral zone."""
    width, depth, height = patient.gland_radii
    rng = patient.random(2)
    for _ in range(14):
        angle = np.radians(rng.uniform(-80, 80))
        z = float(rng.uniform(-0.6, 0.6)) * height
        start, end = (
            (float(s * width * np.sin(angle)), float(s * depth * np.cos(angle)), z + float(rng.uniform(-3, 3)))
            for s in (0.62, 0.95)
        )
        yield Painted(Common((Capsule(start, end, 0.45), gland(patient))), Tissue.TRANSITION_ZONE, 0.5)


def _nodules(patient: Patient) -> Iterator[Painted]:
    """Hyperplasia: round, encapsulated, some bright (glandular) and some dark (stromal)."""
    rng = patient.random(3)
    for number in range(patient.nodules):
        lobe, zone = _whole_lobe(patient, _SIDES[number % 2]), _lobe(patient, _SIDES[number % 2])
        direction = rng.normal(size=3)
        direction *= rng.uniform(0.1, 0.72) / np.linalg.norm(direction)
        centre = _vector(np.array(lobe.centre) + direction * lobe.radii)
        radius = float(rng.uniform(2.2, 0.42 * lobe.radii[0] + 1.5))
        radii = _vector(radius * rng.uniform(0.8, 1.25, size=3))
        tissue = Tissue.GLANDULAR_NODULE if rng.random() < 0.58 else Tissue.STROMAL_NODULE
        yield Painted(Common((Ellipsoid(centre, radii), zone)), Tissue.CAPSULE)
        inside = Common((Ellipsoid(centre, _grown(radii, -0.8)), zone))
        yield Painted(inside, tissue)
        if tissue is Tissue.GLANDULAR_NODULE:
            for _ in range(3):  # cystic glands
                spot = _vector(np.array(centre) + rng.uniform(-0.5, 0.5, size=3) * radii)
                yield Painted(Ellipsoid(spot, (1.1, 1.1, 1.6)), Tissue.SEMINAL_FLUID, 0.6)


def _lesion(patient: Patient) -> Iterator[Painted]:
    shape = lesion_shape(patient)
    if shape is not None:
        yield Painted(shape, Tissue.LESION, 0.8)


def _vector(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Vector:
    x, y, z = (float(value) for value in values)
    return x, y, z
