"""How much works at once in one process."""

from pydantic import Field

from router.config_values import Settings

ROOM_FOR_MORE = 16
"""Deliveries at once beyond those that the destinations of the start allow: for what is added."""


class Workers(Settings):
    """How much works at once in one process."""

    routing: int = Field(1, ge=1, le=64, description="batches of objects that are routed at once")
    egress: int | None = Field(
        None,
        ge=1,
        le=512,
        description="deliveries at once; default: as many as all destinations allow, and 16 more",
    )
