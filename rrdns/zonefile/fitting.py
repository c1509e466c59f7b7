"""A mapping of the file and a model of `shapes.py` put together, with every fault at its place. Floor 1.

Must not know: what the mapping stands for.
"""

from __future__ import annotations

from typing import Any, TypeVar

from rrdns.zonefile import later, shapes
from rrdns.zonefile.complaints import Complaints, Spot
from rrdns.zonefile.shape_values import Model
from rrdns.zonefile.yaml_nodes import Map, Seq


def locate(body: Map, loc: shapes.Loc) -> tuple[Spot, str]:
    """Place and dotted path of a pydantic location; steps that a short form does not have are left out."""
    here: Any = body
    spot = body.spot
    steps: list[str] = []
    for index, step in enumerate(loc):
        if isinstance(here, Map) and step in here:
            spot, here = here.at(str(step)), here[str(step)]
        elif isinstance(here, Seq) and isinstance(step, int) and step < len(here):
            spot, here = here.spots[step], here[step]
        elif not isinstance(here, Map) or index < len(loc) - 1:
            continue
        steps.append(str(step))  # of a mapping's last step: the name of what is missing
    return spot, ".".join(steps)


M = TypeVar("M", bound=Model)


def read_model(model: type[M], body: Map, level: str, path: str, out: Complaints) -> M | None:
    """The body as a model, with every fault reported; what comes later and empty values are taken out first."""
    data: dict[str, Any] = {}
    sound = True
    for key, value in body.items():
        if key in later.KEYS.get(level, ()):
            out.problem(body.at_key(key), f"{path}.{key}", later.comes_later(key))
            sound = False
        elif value is None and key in model.model_fields:
            out.problem(body.at_key(key), f"{path}.{key}", "has no value: write one or leave the key out")
            sound = False
        else:
            data[key] = value
    found, complaints = shapes.validate(model, data)
    for loc, message in complaints:
        if message == "is missing" and len(loc) == 1 and (loc[0] in body or not sound):
            continue  # it is there, but empty; or what comes later would have said it
        spot, steps = locate(body, loc)
        unknown = message.startswith("unknown key")
        if unknown:
            spot = _key_spot(body, loc)
        out.problem(spot, f"{path}.{steps}" if steps else path, message)
    return found if sound else None


def _key_spot(body: Map, loc: shapes.Loc) -> Spot:
    here: Any = body
    for step in loc[:-1]:
        here = here[step]
    return here.at_key(str(loc[-1])) if isinstance(here, Map) else body.spot
