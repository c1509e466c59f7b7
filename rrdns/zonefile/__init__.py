"""zonefile: the YAML files an operator writes -> the model, with every mistake at its line and column. Floor 1, pure.

    files: {path: bytes} -> load -> Loaded(DataSet | None, problems)

    yaml_nodes  scalars  syntax        text -> plain values that know where they stand (the only one to import yaml)
    records  owners  special_records   one zone file -> drafts.ZoneDraft (values through rdata.encode)
    pools  shapes  readers             one pools file -> checks and pools (shapes: the only one to import pydantic)
    zone_rules  targets  references    what must hold between records, zones, pools
    loading                            all of it in order
    complaints  later                  the words: "did you mean", "comes with a later version"
    editor                             the same shapes as JSON schema, for editors
    rdata*                             record data: YAML value <-> wire <-> master-file text
    writer                             records -> the text of a zone file

The doors are `load` and `schema` (and rdata's and writer's own). They are imported when first asked for, because
pydantic takes its time and who only wants a "did you mean" should not wait. Must not know: sockets, clocks, where
files are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rrdns.zonefile.editor import schema
    from rrdns.zonefile.loading import Loaded, is_pools_file, load, with_serial

__all__ = ["Loaded", "is_pools_file", "load", "schema", "with_serial"]


def __getattr__(name: str) -> Any:
    if name == "schema":
        from rrdns.zonefile import editor

        return editor.schema
    if name in __all__:
        from rrdns.zonefile import loading

        return getattr(loading, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
