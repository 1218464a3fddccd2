"""What somebody wants done with an alert, as forms and programs say it."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from shared.contracts import Opinion

Act = Literal["acknowledge", "resolve", "silence", "verdict"]
ACTS: tuple[Act, ...] = ("acknowledge", "resolve", "silence", "verdict")


class Order(BaseModel):
    """The particulars of an act; those that it has no use for are left alone."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True, title="Order"
    )

    actor: Annotated[str, Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,63})?$")] = ""
    """Who; only for a program, since a link acts for its own officer."""
    reason: Annotated[str, Field(max_length=500)] = ""
    """Why; shown with the alert."""
    until: AwareDatetime | None = None
    """End of a silence."""
    hours: Annotated[float, Field(gt=0, le=24 * 30)] | None = None
    """Length of a silence, where no end is given."""
    report_id: Annotated[str, Field(max_length=64)] = ""
    """The report's id or its receipt; needed where several reports show the code."""
    code: Annotated[str, Field(max_length=64)] = ""
    """The finding's code, such as mp_cash."""
    verdict: Opinion | None = None
    """What the officer says of the finding."""
    note: Annotated[str, Field(max_length=1000)] = ""
    """Why the officer says so."""
