"""Which rooms have which receptacles, and where objects are usually found: common knowledge, written for this package.

The generator furnishes rooms by these tables, and the expert searches by them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

OPENABLE = frozenset({"cabinet", "drawer", "fridge", "laundryhamper", "microwave", "safe"})
LAMPS = {"desklamp": ("desk", "dresser", "shelf", "sidetable"), "floorlamp": ("sidetable", "coffeetable", "dresser")}

ROOMS: Mapping[str, Mapping[str, tuple[int, int]]] = {
    "kitchen": {
        "cabinet": (4, 8),
        "coffeemachine": (1, 1),
        "countertop": (1, 3),
        "diningtable": (1, 1),
        "drawer": (2, 5),
        "fridge": (1, 1),
        "garbagecan": (1, 1),
        "microwave": (1, 1),
        "shelf": (0, 3),
        "sidetable": (0, 1),
        "sinkbasin": (1, 1),
        "stoveburner": (2, 4),
        "toaster": (1, 1),
    },
    "bedroom": {
        "armchair": (0, 1),
        "bed": (1, 1),
        "cabinet": (0, 4),
        "desk": (1, 2),
        "drawer": (3, 6),
        "dresser": (1, 1),
        "garbagecan": (1, 1),
        "laundryhamper": (0, 1),
        "safe": (0, 1),
        "shelf": (2, 6),
        "sidetable": (1, 2),
    },
    "livingroom": {
        "armchair": (1, 3),
        "cabinet": (1, 4),
        "coffeetable": (1, 2),
        "diningtable": (0, 1),
        "drawer": (2, 5),
        "dresser": (0, 1),
        "garbagecan": (1, 1),
        "safe": (0, 1),
        "shelf": (2, 4),
        "sidetable": (1, 3),
        "sofa": (1, 2),
        "tvstand": (1, 1),
    },
    "bathroom": {
        "bathtubbasin": (0, 1),
        "cabinet": (3, 6),
        "cart": (0, 1),
        "countertop": (1, 1),
        "drawer": (1, 4),
        "garbagecan": (1, 1),
        "handtowelholder": (1, 2),
        "shelf": (1, 3),
        "sidetable": (0, 1),
        "sinkbasin": (1, 2),
        "toilet": (1, 1),
        "toiletpaperhanger": (1, 1),
        "towelholder": (1, 2),
    },
}
"""Per room, the kinds of receptacles with the least and the greatest number of each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of object."""

    rooms: tuple[str, ...]
    homes: Mapping[str, int]
    """Where it is found, with whole-number weights; a receptacle accepts exactly the kinds that have it as a home."""
    abilities: frozenset[str] = frozenset()
    """Of "cleanable", "heatable", "coolable", "sliceable", "isreceptacleobject"."""


def _kind(rooms: str, homes: str, abilities: str = "") -> Kind:
    """From letters: k, b, l, r for kitchen, bedroom, living room, bathroom; c, h, f, s, o for the abilities."""
    letters = {"k": "kitchen", "b": "bedroom", "l": "livingroom", "r": "bathroom"}
    able = {"c": "cleanable", "h": "heatable", "f": "coolable", "s": "sliceable", "o": "isreceptacleobject"}
    weights = (home.split("*") for home in homes.split())
    return Kind(
        rooms=tuple(letters[letter] for letter in rooms),
        homes={name: int(weight[0]) if weight else 1 for name, *weight in weights},
        abilities=frozenset(able[letter] for letter in abilities),
    )


_FOOD = "countertop*4 diningtable*4 fridge*4 garbagecan*1 microwave*1 sidetable*1 sinkbasin*2"
_DISH = "cabinet*4 countertop*4 diningtable*3 fridge*1 microwave*1 shelf*2 sidetable*1 sinkbasin*3"
_CUTLERY = "countertop*3 diningtable*3 drawer*5 sidetable*1 sinkbasin*3"
_PAPERS = "armchair*2 bed*2 coffeetable*3 desk*4 diningtable*2 drawer*2 dresser*3 shelf*2 sidetable*3 sofa*3 tvstand*1"
_SMALL = "bed*1 coffeetable*2 countertop*1 desk*4 diningtable*2 drawer*4 dresser*3 safe*2 shelf*3 sidetable*3 sofa*1"
_TOILETRY = (
    "bathtubbasin*1 cabinet*4 cart*2 countertop*4 drawer*2 garbagecan*1 shelf*2 sidetable*1 sinkbasin*2 toilet*3"
)

OBJECTS: Mapping[str, Kind] = {
    "apple": _kind("k", _FOOD, "chfs"),
    "bread": _kind("k", "cabinet*1 countertop*5 diningtable*4 fridge*3 garbagecan*1 microwave*1", "hfs"),
    "egg": _kind("k", _FOOD, "chf"),
    "lettuce": _kind("k", _FOOD, "cfs"),
    "potato": _kind("k", _FOOD, "chfs"),
    "tomato": _kind("k", _FOOD, "chfs"),
    "bowl": _kind("k", _DISH, "cfo"),
    "cup": _kind("k", _DISH, "chfo"),
    "mug": _kind("kb", f"{_DISH} coffeemachine*2 desk*3 dresser*1", "chfo"),
    "plate": _kind("k", _DISH, "chfo"),
    "pan": _kind("k", "cabinet*2 countertop*3 diningtable*2 fridge*1 sinkbasin*2 stoveburner*5", "cfo"),
    "pot": _kind("k", "cabinet*2 countertop*2 diningtable*1 fridge*1 shelf*1 sinkbasin*2 stoveburner*5", "cfo"),
    "kettle": _kind("k", "cabinet*2 countertop*3 shelf*1 sinkbasin*1 stoveburner*4", "c"),
    "winebottle": _kind("k", "cabinet*3 countertop*4 diningtable*2 fridge*4 garbagecan*1 shelf*2", "f"),
    "butterknife": _kind("k", _CUTLERY, "c"),
    "fork": _kind("k", _CUTLERY, "c"),
    "knife": _kind("k", _CUTLERY, "c"),
    "spoon": _kind("k", _CUTLERY, "c"),
    "ladle": _kind("k", _CUTLERY, "c"),
    "spatula": _kind("k", _CUTLERY, "c"),
    "dishsponge": _kind("kr", "cabinet*2 cart*1 countertop*4 drawer*3 sinkbasin*4 toilet*1", "c"),
    "peppershaker": _kind("k", "cabinet*3 countertop*4 diningtable*3 drawer*2 shelf*2 sidetable*1"),
    "saltshaker": _kind("k", "cabinet*3 countertop*4 diningtable*3 drawer*2 shelf*2 sidetable*1"),
    "papertowelroll": _kind("k", "cabinet*1 countertop*4 diningtable*2 garbagecan*1 shelf*1 sidetable*1"),
    "alarmclock": _kind("b", "bed*1 desk*4 dresser*4 shelf*3 sidetable*5"),
    "baseballbat": _kind("b", "bed*4 desk*1 sofa*2"),
    "basketball": _kind("b", "armchair*2 bed*4 dresser*1 sofa*1"),
    "laptop": _kind("bl", "armchair*2 bed*4 coffeetable*4 desk*5 diningtable*3 sofa*3"),
    "pillow": _kind("bl", "armchair*3 bed*6 sofa*5"),
    "teddybear": _kind("b", "armchair*2 bed*4 dresser*1 shelf*1 sofa*2"),
    "tennisracket": _kind("b", "bed*4 desk*1 dresser*2"),
    "book": _kind("bl", _PAPERS),
    "newspaper": _kind("l", f"{_PAPERS} garbagecan*1"),
    "box": _kind("l", "armchair*2 coffeetable*4 diningtable*3 dresser*2 shelf*2 sidetable*3 sofa*3 tvstand*1"),
    "cd": _kind("b", f"{_SMALL} garbagecan*1"),
    "cellphone": _kind("b", f"{_SMALL} armchair*1"),
    "creditcard": _kind("bl", f"{_SMALL} armchair*1"),
    "keychain": _kind("bl", f"{_SMALL} armchair*1"),
    "pen": _kind("b", f"{_SMALL} garbagecan*1"),
    "pencil": _kind("b", f"{_SMALL} garbagecan*1"),
    "watch": _kind("bl", _SMALL),
    "remotecontrol": _kind("l", f"{_SMALL} armchair*3"),
    "statue": _kind("l", "cabinet*1 coffeetable*3 desk*2 diningtable*2 dresser*3 safe*1 shelf*4 sidetable*3 tvstand*3"),
    "vase": _kind(
        "kl", "cabinet*2 coffeetable*3 countertop*2 diningtable*3 dresser*3 safe*1 shelf*4 sidetable*3 tvstand*2"
    ),
    "candle": _kind("r", _TOILETRY),
    "soapbar": _kind("r", f"{_TOILETRY}", "c"),
    "soapbottle": _kind("kr", _TOILETRY),
    "spraybottle": _kind("r", _TOILETRY),
    "tissuebox": _kind("lr", f"{_TOILETRY} coffeetable*3 dresser*2 tvstand*1"),
    "toiletpaper": _kind("r", "cabinet*4 cart*1 countertop*2 drawer*2 garbagecan*1 toilet*4 toiletpaperhanger*3"),
    "cloth": _kind("r", "bathtubbasin*3 cabinet*4 cart*2 countertop*3 drawer*3 garbagecan*1 sinkbasin*2 toilet*2", "c"),
    "handtowel": _kind("r", "countertop*1 handtowelholder*6 toilet*1"),
    "towel": _kind("r", "bathtubbasin*1 towelholder*6"),
}
"""What may be carried, by kind."""


def usual(thing: str, receptacle: str) -> int:
    """How usual it is to find that kind of object in that kind of receptacle: a weight, 0 for never heard of."""
    if thing in LAMPS:
        return 5 if receptacle in LAMPS[thing] else 0
    kind = OBJECTS.get(thing)
    return kind.homes.get(receptacle, 0) if kind else 0
