"""When and how fast a destination is sent to: windows of time, and limits; what goes in circles."""

from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from router.config_values import Duration, Settings, parse_size
from rules.windows import DAY_MINUTES, Window, Windows, window, windows


def _one_or_several(value: object) -> object:
    return [value] if isinstance(value, str | dict) else value


class ScheduleWindow(Settings):
    """A time at which a destination is sent to; past midnight if it ends before it begins."""

    from_: str | None = Field(
        None, alias="from", description="when it opens, as `19:00`; default: at midnight"
    )
    to: str | None = Field(
        None, description="when it closes, as `06:00`; default: at the end of the day"
    )
    zone: str = Field(description="the time zone, as `Europe/Berlin`")
    weekdays: Annotated[tuple[str, ...], BeforeValidator(_one_or_several)] = Field(
        (), description="days on which it opens, as `sat` or `mon-fri`; default: all"
    )

    @property
    def window(self) -> Window:
        return window(self.from_, self.to, self.zone, self.weekdays)

    @model_validator(mode="after")
    def _says_when(self) -> "ScheduleWindow":
        whole_days = self.window.opens == 0 and self.window.closes == DAY_MINUTES
        if whole_days and not self.weekdays:
            raise ValueError("`from` and `to`, or `weekdays`, are missing")
        return self


Schedule = Annotated[tuple[ScheduleWindow, ...], BeforeValidator(_one_or_several)]


def windows_of(schedule: tuple[ScheduleWindow, ...]) -> Windows | None:
    """The windows of a schedule; None: at any time."""
    return windows([one.window for one in schedule]) if schedule else None


class Loops(Settings):
    """When an object that keeps coming back is held, since routers send it in a circle."""

    receptions: int = Field(5, ge=2, description="receptions of the same SOP instance …")
    within: Duration = Field(3600.0, description="… within this time")


def _per_second(value: object) -> object:
    if isinstance(value, str):
        value = value.strip().removesuffix("/s")
    return parse_size(value)


class Limits(Settings):
    """How much a destination is given in a second, over all workers."""

    bandwidth: Annotated[
        int | None,
        BeforeValidator(lambda value: None if value is None else _per_second(value)),
        WithJsonSchema(
            {"anyOf": [{"type": "integer"}, {"type": "string", "examples": ["2MB/s", "500KB"]}]}
        ),
    ] = Field(None, ge=16_384, description="bytes a second, as `2MB`; default: no limit")
    objects: float | None = Field(
        None, gt=0, le=100_000, description="objects a second; default: no limit"
    )

    @model_validator(mode="after")
    def _some(self) -> "Limits":
        if self.bandwidth is None and self.objects is None:
            raise ValueError("say `bandwidth` or `objects`")
        return self

    def cost_ms(self, size: int) -> float:
        """Milliseconds of its time that an object of so many bytes takes."""
        by_size = 0.0 if self.bandwidth is None else size / self.bandwidth
        by_number = 0.0 if self.objects is None else 1 / self.objects
        return max(by_size, by_number) * 1000
