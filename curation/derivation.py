"""What makes a series a derived one: from what, by which engine with which parameters, and where it lies.

Results of curation functions give a `Derivation`; the writer of DICOM, the report and the cache read it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from curation.geometry import Array
from curation.series import Role, Series
from curation.volume import Volume

CurationFunction = Literal["motion_correction", "coregistration", "adc"]


@dataclass(frozen=True, eq=False)
class Derivation:
    """One derived series that has been computed, or is computed volume by volume when it is read.

    Parameters
    ----------
    function : str
        ``motion_correction``, ``coregistration`` (names of the ProCancer-I curation tool's metadata) or ``adc``.
    source : Series
        Whose voxels the result is made of.
    volumes : sequence of Volume
        The result, float32, in the order of the source's volumes (one volume for ``adc``). May compute on access:
        read each once. All have one affine, and the Frame of Reference UID of the result.
    role : str
        Role of the result, as `Series.role`.
    description : str
        For Series Description: at most 64 characters.
    engine, engine_version : str
        ``lightbox`` or ``dipy``, and its version.
    parameters : mapping
        JSON: the ``parameters`` object of the ProCancer-I curation metadata.
    static : Series or None
        What it was co-registered to.
    transforms : ndarray, shape (n_volumes, 4, 4), or None
        Maps an LPS point (mm) seen in volume k of the source to where it lies in the result.
    b_values, times_s : tuple of float or None
        One per volume, s/mm2 and seconds from the first.
    source_volumes : tuple of tuple of int, or None
        For each volume of the result the numbers of the source volumes that it was computed from; None where
        volume k comes from volume k.
    unit : tuple of str
        UCUM code and its meaning for values with a unit, for example ``("um2/s", "square micrometer per second")``;
        empty for signal.
    related : tuple of Series
        Other series that the result depends on (the DWI whose transform a vendor ADC map follows).
    notes : tuple of str
        What a reader of the result must know, one sentence each.
    """

    function: CurationFunction
    source: Series
    volumes: Sequence[Volume] = field(repr=False)
    role: Role
    description: str
    engine: str
    engine_version: str
    parameters: Mapping[str, Any]
    static: Series | None = None
    transforms: Array | None = None
    b_values: tuple[float, ...] | None = None
    times_s: tuple[float, ...] | None = None
    source_volumes: tuple[tuple[int, ...], ...] | None = None
    unit: tuple[str, ...] = ()
    related: tuple[Series, ...] = ()
    notes: tuple[str, ...] = ()
