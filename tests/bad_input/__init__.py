"""Every mistake that is tried: files and command lines, each of which must end in clear lines."""

from tests.bad_input.case import Case, Place
from tests.bad_input.folders import FOLDERS
from tests.bad_input.models import MODELS
from tests.bad_input.money import MONEY
from tests.bad_input.rows import ROWS
from tests.bad_input.settings import SETTINGS
from tests.bad_input.usage import USAGE

GROUPS = {
    "rows": ROWS,
    "usage": USAGE,
    "settings": SETTINGS,
    "costs and priors": MONEY,
    "models": MODELS,
    "folders and runs": FOLDERS,
}
CASES = [case for cases in GROUPS.values() for case in cases]

__all__ = ["CASES", "GROUPS", "Case", "Place"]
