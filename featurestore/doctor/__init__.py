"""What a machine, an installation and the place of a lake are like, and what of it would stop a job."""

from featurestore.doctor.finding import Finding, findings_as_json, findings_as_lines, troubles
from featurestore.doctor.hardware import examine_hardware
from featurestore.doctor.places import examine_cache, examine_lake
from featurestore.doctor.software import examine_software

__all__ = [
    "Finding",
    "examine_cache",
    "examine_hardware",
    "examine_lake",
    "examine_software",
    "findings_as_json",
    "findings_as_lines",
    "troubles",
]
