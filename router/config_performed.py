"""What modalities say they have made (MPPS): whether we hear it, and when we miss something."""

from pydantic import Field

from router.config_values import Duration, Settings


class PerformedSteps(Settings):
    """Modalities may tell us of their performed procedure steps (MPPS)."""

    within: Duration = Field(
        3600.0, description="time for its objects to come in, from the end of a step"
    )
