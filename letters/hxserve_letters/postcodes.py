"""German postcodes: which there are, and where they lead.

A postcode's first digit is its Leitzone, the first two its Leitregion. The table names one large town of each
Leitregion; it was written down from general knowledge and is no extract of a directory of Deutsche Post.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

DIGITS: Final = 5
"""Of a postcode."""

_TOWNS: Final = """
01 Dresden 02 Görlitz 03 Cottbus 04 Leipzig 06 Halle 07 Gera 08 Zwickau 09 Chemnitz
10 Berlin 12 Berlin 13 Berlin 14 Potsdam 15 Frankfurt_(Oder) 16 Oranienburg 17 Neubrandenburg 18 Rostock 19 Schwerin
20 Hamburg 21 Lüneburg 22 Hamburg 23 Lübeck 24 Kiel 25 Elmshorn 26 Oldenburg 27 Bremerhaven 28 Bremen 29 Celle
30 Hannover 31 Hildesheim 32 Herford 33 Bielefeld 34 Kassel 35 Gießen 36 Fulda 37 Göttingen 38 Braunschweig
39 Magdeburg 40 Düsseldorf 41 Neuss 42 Wuppertal 44 Dortmund 45 Essen 46 Oberhausen 47 Duisburg 48 Münster
49 Osnabrück 50 Köln 51 Köln 52 Aachen 53 Bonn 54 Trier 55 Mainz 56 Koblenz 57 Siegen 58 Hagen 59 Hamm
60 Frankfurt 61 Bad_Homburg 63 Offenbach 64 Darmstadt 65 Wiesbaden 66 Saarbrücken 67 Ludwigshafen 68 Mannheim
69 Heidelberg 70 Stuttgart 71 Böblingen 72 Tübingen 73 Esslingen 74 Heilbronn 75 Pforzheim 76 Karlsruhe 77 Offenburg
78 Konstanz 79 Freiburg 80 München 81 München 82 Starnberg 83 Rosenheim 84 Landshut 85 Ingolstadt 86 Augsburg
87 Kempten 88 Ravensburg 89 Ulm 90 Nürnberg 91 Erlangen 92 Amberg 93 Regensburg 94 Passau 95 Bayreuth 96 Bamberg
97 Würzburg 98 Suhl 99 Erfurt
"""

_WORDS: Final = _TOWNS.split()
TOWN_BY_REGION: Final = {
    region: town.replace("_", " ") for region, town in zip(_WORDS[::2], _WORDS[1::2], strict=True)
}
"""A large town of each Leitregion; 00, 05, 11, 43 and 62 are no Leitregionen."""


@dataclass(frozen=True, slots=True)
class Route:
    """Destination of a letter: `gate` is the sorter's, 1..95; one lorry serves a Leitzone."""

    zone: str
    region: str
    town: str
    vehicle: str
    gate: int


_ROUTES: Final = {
    region: Route(region[0], region, town, f"lorry {region[0]}", gate)
    for gate, (region, town) in enumerate(TOWN_BY_REGION.items(), 1)
}


def route_of(postcode: str) -> Route | None:
    """Route of a postcode; None when there is no such Leitregion, so that the letter goes to manual coding."""
    return _ROUTES.get(postcode[:2]) if len(postcode) == 5 and postcode.isdecimal() else None
