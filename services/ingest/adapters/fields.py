"""Which fields of somebody's form hold what: `fields` in `sources.yaml`."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict


def _listed(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _labelled(value: object) -> object:
    if isinstance(value, str):
        return {value: ""}
    return {name: "" for name in value if isinstance(name, str)} if isinstance(value, list) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_listed)]
Labelled = Annotated[dict[str, str], BeforeValidator(_labelled)]


class Fields(BaseModel):
    """A map from a form's fields to a report; a name is a whole path (`grup/kronologi`) or its last part.

    Without `text` all answers that are not something else become lines of the text, each with its question.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Names = ()
    """The sender's own id; without it the one the channel gives."""
    text: Labelled = {}
    """In this order; with a label the line reads `Label: answer`."""
    place: Labelled = {}
    """Lines `Lokasi: ...`, by which the region is found."""
    time: Names = ()
    """When it happened: ISO 8601 or day/month/year; what cannot be read becomes a line `Waktu: ...`."""
    coordinates: Names = ()
    reporter: Names = ()
    """Who reports, the steadiest (a phone number) first; never part of the text."""
    attachments: Names = ()
    receiver: Names = ()
    """The number written to or the form filled in: the key of `region_prior`."""
