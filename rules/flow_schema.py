"""When a route sends, as models: between which times of day, and after waiting for what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from rules.documents.problems import Mistake
from rules.documents.reading import Section
from rules.durations import Duration, in_words
from rules.windows import Window, Windows, window, windows

Text = Annotated[str, Field(min_length=1)]


def _one_or_several(value: object) -> object:
    return [value] if isinstance(value, str | Mapping) else value


class Between(Section):
    """A window of time. Without `from` and `to` it is whole days; `weekdays` are those on which
    it opens, also as `mon-fri`."""

    from_: Text | None = Field(default=None, alias="from")
    to: Text | None = None
    zone: Text
    weekdays: Annotated[
        tuple[Text, ...], BeforeValidator(_one_or_several), Field(min_length=1)
    ] = ()

    @property
    def window(self) -> Window:
        return window(self.from_, self.to, self.zone, self.weekdays)

    @model_validator(mode="after")
    def _says_when(self) -> Self:
        if self.window.opens == 0 and self.window.closes == 24 * 60 and not self.weekdays:
            raise Mistake("`from` and `to`, or `weekdays`, are missing")
        return self


def _fit(given: tuple[Between, ...]) -> tuple[Between, ...]:
    windows([one.window for one in given])
    return given


Betweens = Annotated[
    tuple[Between, ...],
    BeforeValidator(_one_or_several),
    Field(min_length=1),
    AfterValidator(_fit),
]


def windows_of(given: tuple[Between, ...] | None) -> Windows | None:
    """The windows of a route; None: it sends at any time."""
    return windows([one.window for one in given]) if given else None


class Expected(Section):
    """What makes a bundle complete: so many objects, or a series for each pattern."""

    objects: Annotated[int, Field(ge=1)] | None = None
    series: Annotated[tuple[Text, ...], BeforeValidator(_one_or_several), Field(min_length=1)] = ()

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.objects is None and not self.series:
            raise Mistake("say what is expected: `objects: 120`, or `series: [...]`")
        return self


class WaitFor(Section):
    """Waiting for a study or a series: until nothing has come for so long (seconds), or what is
    expected is there; at the latest after `longest`. `late` is about what comes afterwards."""

    study: Duration | None = None
    series: Duration | None = None
    longest: Duration = 7200.0
    expect: Expected | None = None
    late: Literal["route", "hold", "rebundle"] = "route"

    @model_validator(mode="after")
    def _one_level(self) -> Self:
        if (self.study is None) == (self.series is None):
            raise Mistake("wait for one of `study` and `series`, such as `study: 60s`")
        if self.longest < self.quiet:
            words = f"{in_words(self.longest)} is shorter than the quiet time"
            raise Mistake(f"{words} {in_words(self.quiet)}", at=("longest",))
        return self

    @property
    def level(self) -> Literal["study", "series"]:
        return "series" if self.study is None else "study"

    @property
    def quiet(self) -> float:
        """Seconds without a new object after which the bundle is closed."""
        return self.study or self.series or 0.0
