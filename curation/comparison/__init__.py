"""Pictures by which a person judges a correction: before and after, side by side.

Every function takes None too and then gives a picture that says what is missing.
"""

from curation.comparison.adc import show_adc
from curation.comparison.cuts import show_middle_slices
from curation.comparison.displacement import show_displacement
from curation.comparison.montage import show_montage
from curation.comparison.overlay import show_overlay

__all__ = ["show_adc", "show_displacement", "show_middle_slices", "show_montage", "show_overlay"]
