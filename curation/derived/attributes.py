"""The attributes of a derived MR image: what is taken over from the source, and what is new.

Modules of the MR Image object (PS3.3 A.4.3) and of the composite objects beside it.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import re
import warnings

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.valuerep import format_number_as_ds

from curation.derivation import Derivation
from curation.derived import codes
from curation.derived.cleaning import clean, clean_text, copy_clean
from curation.derived.provenance import PRIVATE_CREATOR, PRIVATE_GROUP
from curation.geometry import Array
from curation.reading.headers import SOFTWARE_NAME

_TYPE_2_PATIENT_AND_STUDY = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex",
    "StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip
_PATIENT_AND_STUDY = (
    "IssuerOfPatientID", "OtherPatientIDs", "EthnicGroup", "PatientBirthTime", "StudyDescription",
    "PatientAge", "PatientSize", "PatientWeight", "PatientIdentityRemoved", "DeidentificationMethod",
    "ClinicalTrialSponsorName", "ClinicalTrialProtocolID", "ClinicalTrialProtocolName", "ClinicalTrialSiteID",
    "ClinicalTrialSiteName", "ClinicalTrialSubjectID", "ClinicalTrialSubjectReadingID",
    "ClinicalTrialTimePointID", "ClinicalTrialTimePointDescription", "LongitudinalTemporalInformationModified",
)  # fmt: skip

_TYPE_2_ACQUISITION = ("ScanOptions", "MRAcquisitionType", "RepetitionTime", "EchoTime", "EchoTrainLength")
_ACQUISITION = (
    "ProtocolName", "SequenceName", "AngioFlag", "InversionTime", "TriggerTime", "NumberOfAverages",
    "ImagingFrequency", "ImagedNucleus", "EchoNumbers", "MagneticFieldStrength", "NumberOfPhaseEncodingSteps",
    "PercentSampling", "PercentPhaseFieldOfView", "PixelBandwidth", "ReceiveCoilName", "TransmitCoilName",
    "FlipAngle", "VariableFlipAngleFlag", "InPlanePhaseEncodingDirection", "SAR", "dBdt", "AcquisitionNumber",
    "ContrastBolusAgent", "ContrastBolusRoute", "ContrastBolusVolume", "ContrastBolusStartTime",
    "ContrastBolusTotalDose", "ContrastBolusIngredient", "ContrastBolusIngredientConcentration",
    "ContrastFlowRate", "ContrastFlowDuration", "DiffusionDirectionality",
)  # fmt: skip
_CONTRIBUTOR = (
    "ManufacturerModelName", "StationName", "DeviceSerialNumber", "SoftwareVersions", "ContributionDescription",
)  # fmt: skip
_MAX_ITEMS = 32
_POSITIONS = frozenset(f"{a}F{b}" for a in "HF" for b in "SP") | frozenset(f"{a}FD{b}" for a in "HF" for b in "LR")

_FUNCTIONS = {
    "motion_correction": "Motion correction",
    "coregistration": "Co-registration",
    "adc": "Apparent diffusion coefficient",
}

_ROLE_TYPES: dict[str, tuple[str, ...]] = {
    "adc": ("DIFFUSION", "ADC"),
    "calculated-b": ("DIFFUSION", "CALC_BVALUE"),
    "perfusion-map": ("PERFUSION",),
    "localizer": ("LOCALIZER",),
}
"""Image Type from the third value on, by which `curation.reading.roles` knows these roles; as scanners write it."""


def software_version() -> str:
    """Return the version of this package; ``0`` where it runs without being installed."""
    try:
        return importlib.metadata.version("lightbox")
    except importlib.metadata.PackageNotFoundError:
        return "0"


def patient_and_study(source: Dataset, study_uid: str) -> Dataset:
    """Return the Patient, General Study, Patient Study and Clinical Trial modules as the source has them.

    Attributes that must be there and may be empty are empty where the source has none.
    """
    dataset = Dataset()
    for keyword in _TYPE_2_PATIENT_AND_STUDY:
        setattr(dataset, keyword, clean(source, keyword) or "")
    copy_clean(source, dataset, _PATIENT_AND_STUDY)
    dataset.StudyInstanceUID = study_uid
    methods = [item for item in map(_code, _items(source, "DeidentificationMethodCodeSequence")) if item]
    if methods:
        dataset.DeidentificationMethodCodeSequence = methods
    if dataset.get("PatientIdentityRemoved") == "YES" and not methods and not dataset.get("DeidentificationMethod"):
        dataset.DeidentificationMethod = "Unknown"  # one of the two is required (PS3.3 C.7.1.1)
    return dataset


def _items(source: Dataset, keyword: str) -> list[Dataset]:
    """Return the items of a sequence, none where it is damaged; pydicom reads it only when it is asked for."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = source.get(keyword)
            return list(value)[:_MAX_ITEMS] if isinstance(value, Sequence) else []
    except Exception:  # damaged bytes make pydicom raise nearly anything
        return []


def _code(item: Dataset) -> Dataset | None:
    """Return a clean copy of a code, None where it is not complete."""
    parts = [clean(item, keyword) for keyword in ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")]
    return codes.concept(*parts) if all(parts) else None


def equipment(source: Dataset, derivation: Derivation) -> Dataset:
    """Return the General Equipment module, with the scanner and the engine as contributors (PS3.3 C.12.1).

    Contributors that the source names itself, as results and de-identified images do, stay named.
    """
    dataset = Dataset()
    dataset.Manufacturer = SOFTWARE_NAME
    dataset.ManufacturerModelName = "curation"
    dataset.SoftwareVersions = clean_text(software_version())
    named = (item for item in _items(source, "ContributingEquipmentSequence") if clean(item, "Manufacturer"))
    earlier = [_contributor(item) for item in named]
    scanner = _contributor(source)
    scanner.PurposeOfReferenceCodeSequence = [codes.concept(*codes.ACQUISITION_EQUIPMENT)]
    own = [] if scanner.Manufacturer == SOFTWARE_NAME else [scanner]
    engine = Dataset()
    engine.Manufacturer = SOFTWARE_NAME
    engine.ManufacturerModelName = clean_text(derivation.engine) or "unknown"
    engine.SoftwareVersions = clean_text(derivation.engine_version) or "unknown"
    engine.ContributionDescription = clean_text(_FUNCTIONS.get(derivation.function, derivation.function), "ST")
    engine.PurposeOfReferenceCodeSequence = [codes.concept(*codes.PROCESSING_EQUIPMENT)]
    dataset.ContributingEquipmentSequence = [*earlier, *own, engine]
    return dataset


def _contributor(source: Dataset) -> Dataset:
    """Return who made something, from its header or an item that says so."""
    item = Dataset()
    copy_clean(source, item, _CONTRIBUTOR)
    item.Manufacturer = clean(source, "Manufacturer") or "Unknown"
    purpose = next(filter(None, map(_code, _items(source, "PurposeOfReferenceCodeSequence"))), None)
    item.PurposeOfReferenceCodeSequence = [purpose or codes.concept(*codes.PROCESSING_EQUIPMENT)]
    return item


def series_and_dates(
    source: Dataset, modality: str, uid: str, number: int, description: str, moment: datetime.datetime
) -> Dataset:
    """Return the General Series module and when the object was made."""
    dataset = Dataset()
    dataset.Modality, dataset.SeriesInstanceUID, dataset.SeriesNumber = modality, uid, number
    dataset.SeriesDescription = clean_text(description)
    copy_clean(source, dataset, ("BodyPartExamined", "Laterality"))
    if "BodyPartExamined" not in dataset and "Laterality" not in dataset:
        dataset.Laterality = ""  # required and may be empty where the part is not known to be unpaired
    for kind in ("Series", "Content", "InstanceCreation"):
        setattr(dataset, f"{kind}Date", moment.strftime("%Y%m%d"))
        setattr(dataset, f"{kind}Time", moment.strftime("%H%M%S.%f"))
    return dataset


def derivation_attributes(derivation: Derivation) -> Dataset:
    """Return what says that and how the pixels were derived (PS3.3 C.7.6.1)."""
    dataset = Dataset()
    if derivation.function == "adc":
        found = [codes.DIFFUSION_ANALYSIS, codes.APPARENT_DIFFUSION_COEFFICIENT]
    else:
        found = [codes.SPATIAL_RESAMPLING]
    if moved(derivation.transforms):
        found.append(codes.CONTENT_BASED_ALIGNMENT)
    dataset.DerivationCodeSequence = [codes.concept(*code) for code in found]
    name = _FUNCTIONS.get(derivation.function, derivation.function)
    sentences = [
        f"{name} by {derivation.engine} {derivation.engine_version}.",
        *derivation.notes,
        f"Parameters are in the private block {PRIVATE_CREATOR} of group {PRIVATE_GROUP:04X}.",
    ]
    dataset.DerivationDescription = clean_text(" ".join(sentences), "ST")
    return dataset


def moved(transforms: Array | None) -> bool:
    """Whether any of the transforms differs from the identity."""
    return transforms is not None and not np.allclose(transforms, np.eye(4), atol=1e-9)


def mr_acquisition(source: Dataset, derivation: Derivation) -> Dataset:
    """Return the MR Image module as one volume of the source has it (PS3.3 C.8.3.1)."""
    dataset = Dataset()
    dataset.ImageType = image_type(source, derivation)
    dataset.ScanningSequence = clean(source, "ScanningSequence") or "RM"
    dataset.SequenceVariant = clean(source, "SequenceVariant") or "NONE"
    for keyword in _TYPE_2_ACQUISITION:
        value = clean(source, keyword)
        setattr(dataset, keyword, None if value is None else value)
    copy_clean(source, dataset, _ACQUISITION)
    position = clean(source, "PatientPosition")
    dataset.PatientPosition = position if position in _POSITIONS else ""
    if derivation.role == "dwi" and re.fullmatch(r"\*?ep_b\d+_\d+", str(dataset.get("SequenceName", ""))):
        del dataset.SequenceName  # on a derived image it would say that the b-value was calculated
    if derivation.static is not None:
        dataset.pop("InPlanePhaseEncodingDirection", None)  # rows and columns are no longer the source's
    return dataset


def image_type(source: Dataset, derivation: Derivation) -> list[str]:
    """Return Image Type: derived, of the examination, and from the third value on what kind of image it is.

    PS3.3 C.7.6.1.1.2 and C.8.3.1.1.1. The third and later values are the source's unless the role differs from
    what those say: a role must be found again where descriptions were removed.
    """
    own = clean(source, "ImageType") or []
    kept = [] if isinstance(own, str) else [value for value in own[2:] if value != "MOSAIC"]
    wanted = _ROLE_TYPES.get(derivation.role)
    if wanted is not None:
        kept = list(wanted) if not set(wanted) <= set(kept) else kept
    elif derivation.role == "dwi" and "DIFFUSION" not in kept:
        kept = ["DIFFUSION", *kept]
    if derivation.function != "adc" and "RESAMPLED" not in kept:
        kept = [*(kept or ["OTHER"]), "RESAMPLED"]
    return ["DERIVED", "PRIMARY", *kept[:14]]


def real_world_values(unit: tuple[str, ...], role: str, stored: tuple[int, int], scale: tuple[float, float]) -> Dataset:
    """Return the Real World Value Mapping of stored values (PS3.3 C.7.6.16.2.11).

    Parameters
    ----------
    unit : tuple of str
        UCUM code and meaning.
    role : str
        Of the series; names the quantity where it is known.
    stored : tuple of int
        Smallest and largest stored value.
    scale : tuple of float
        Slope and intercept.
    """
    item = Dataset()
    low, high = stored
    vr = "SS" if low < 0 else "US"
    item.add_new("RealWorldValueFirstValueMapped", vr, low)
    item.add_new("RealWorldValueLastValueMapped", vr, high)
    item.RealWorldValueSlope, item.RealWorldValueIntercept = scale
    item.LUTLabel = clean_text(role.upper(), "SH")
    item.LUTExplanation = clean_text(unit[1])
    item.MeasurementUnitsCodeSequence = [codes.concept(clean_text(unit[0], "SH"), "UCUM", clean_text(unit[1]))]
    if role == "adc":
        quantity = Dataset()
        quantity.ValueType = "CODE"
        quantity.ConceptNameCodeSequence = [codes.concept(*codes.QUANTITY)]
        quantity.ConceptCodeSequence = [codes.concept(*codes.APPARENT_DIFFUSION_COEFFICIENT)]
        item.QuantityDefinitionSequence = [quantity]
    dataset = Dataset()
    dataset.RealWorldValueMappingSequence = [item]
    return dataset


def window_attributes(centre: float, width: float) -> Dataset:
    """Return the VOI LUT module (PS3.3 C.11.2); widths below 1 are allowed for exact linear windows only."""
    dataset = Dataset()
    smallest = 1e-6 * max(abs(centre), 1e-6)
    dataset.WindowCenter, dataset.WindowWidth = format_number_as_ds(centre), format_number_as_ds(max(width, smallest))
    if width < 1:
        dataset.VOILUTFunction = "LINEAR_EXACT"
    return dataset
