"""`salingjaga reporter`: who reported."""

import typer

from deploy.cli.console import fail, out, printable
from deploy.cli.target import DEFAULT_DATA_DIR, DataDirOption
from deploy.cli.vault import ReasonOption, ReceiptArgument, checked_receipt, looked_up, open_stored, open_vault
from shared.config.yaml_file import load_yaml
from shared.settings import get_settings

app = typer.Typer(help="Who reported; every look is written into the audit.", no_args_is_help=True)


@app.callback()
def _reporter() -> None:
    """Who reported; every look is written into the audit."""


@app.command()
def show(receipt: ReceiptArgument, reason: ReasonOption, data_dir: DataDirOption = DEFAULT_DATA_DIR) -> None:
    """Show how a reporter named himself or herself: what the sender gave of name, phone and e-mail, a line each."""
    from services.ingest.adapters import ADAPTERS, Fields, NotUnderstoodError
    from services.ingest.sources import Sources

    receipt = checked_receipt(receipt)
    with open_vault(data_dir) as vault:
        opener, versions = looked_up(vault, "reporter show", receipt, reason)
        stored = versions[-1]
        adapter = ADAPTERS.get(stored.adapter)
        if adapter is None:
            fail(f"No adapter is called {stored.adapter!r}; look at the bytes with `salingjaga submission show`.")
        try:
            source = load_yaml(get_settings().config_file("sources.yaml"), Sources).sources.get(stored.source)
            fields = source.fields if source else Fields()
            identity = adapter.draft(open_stored(opener, stored), fields).reporter
        except NotUnderstoodError as error:
            fail(f"The submission cannot be read ({error.title}); look at it with `salingjaga submission show`.")
    if not identity:
        fail(f"{receipt}: its sender named no reporter.")
    for part in identity:
        out.print(printable(part), highlight=False, markup=False, soft_wrap=True)
