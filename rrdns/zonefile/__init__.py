"""zonefile: the YAML files an operator writes -> the model, with every mistake at its line and column. Floor 1, pure.

    files: {path: bytes} -> load -> Loaded(DataSet | None, problems)

    yaml_nodes  scalars  syntax        text -> plain values that know where they stand (the only one to import yaml)
    records  owners  special_records   one zone file -> drafts.ZoneDraft (values through rdata.encode)
    member_names                       members given by host name
    hints                              SVCB and HTTPS records whose address hints come from a pool
    pools  directors  readers          one pools file -> checks, directors, pools
    failover                           schemes, and what must hold between pools
    shapes  *_shapes                   what may stand there, as models (shape_values: the only one to import pydantic)
    fitting                            a mapping and its model put together
    zone_rules  targets  references    what must hold between records, zones, pools
    loading                            all of it in order
    correcting                         where `correct: true` can't be in force, and why
    places                             where it all stands, for `rrdns check`
    known  again                       what a load leaves for the next, and a load that builds on it
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
    from rrdns.zonefile.again import load_again
    from rrdns.zonefile.editor import schema
    from rrdns.zonefile.known import Known
    from rrdns.zonefile.loading import Loaded, is_pools_file, load, load_known, with_serial

__all__ = ["Known", "Loaded", "is_pools_file", "load", "load_again", "load_known", "schema", "with_serial"]


def __getattr__(name: str) -> Any:
    if name == "schema":
        from rrdns.zonefile import editor

        return editor.schema
    if name == "load_again":
        from rrdns.zonefile import again

        return again.load_again
    if name in __all__:
        from rrdns.zonefile import loading

        return getattr(loading, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
