"""What a scene's factors are called: the words of captions, and which factor each word names."""

from __future__ import annotations

from collections.abc import Mapping

from strata.data.scenes.factors import COLORS, KINDS, OBJECTS, REALMS, SURFACES, TEXTURES

# Other names beside the factor's own.
OBJECT_WORDS: Mapping[str, tuple[str, ...]] = {
    "cat": ("kitten",),
    "dog": ("puppy",),
    "rabbit": ("bunny",),
    "ladybug": ("beetle",),
    "pine": ("fir",),
    "palm": ("palm tree",),
    "car": ("automobile",),
    "truck": ("lorry",),
    "bicycle": ("bike",),
    "train": ("locomotive",),
    "sailboat": ("boat",),
    "rocket": ("spaceship",),
    "airplane": ("plane",),
    "house": ("cottage",),
    "castle": ("fortress",),
    "church": ("chapel",),
    "clock": ("alarm clock",),
    "umbrella": ("parasol",),
    "cup": ("mug",),
    "mushroom": ("toadstool",),
}
KIND_WORDS: Mapping[str, tuple[str, ...]] = {
    "marine animal": ("marine creature",),
    "insect": ("bug",),
    "plant": (),
    "fruit": ("food",),
    "furniture": ("piece of furniture",),
    "tool": ("utensil",),
    "dish": ("tableware",),
}
REALM_WORDS = {"living": ("living thing", "organism"), "made": ("artifact", "man-made thing")}
SIZE_WORDS = {
    "small": ("small", "little", "tiny"),
    "medium": ("medium",),
    "large": ("large", "big", "huge"),
}
POSITION_PHRASES = {
    "left": ("on the left", "at the left"),
    "center": ("in the center", "in the middle"),
    "right": ("on the right", "at the right"),
}
ACTIVITY_PHRASES = {
    "standing": ("standing", "standing on the ground"),
    "flying": ("flying", "in the air", "floating"),
    "falling": ("falling", "tumbling", "dropping"),
    "lying": ("lying", "lying on its side", "toppled"),
    "lined up": ("lined up", "in a row", "queuing"),
    "hiding": ("hiding", "behind a fence", "hidden"),
}
PLACE_PHRASES = {
    "studio": ("in a studio", "in front of a backdrop"),
    "indoors": ("indoors", "in a room", "inside"),
    "street": ("on a street", "in the city", "on the road"),
    "meadow": ("in a meadow", "on the grass", "in a field"),
    "shore": ("at the shore", "on the beach", "by the sea"),
    "forest": ("in the forest", "in the woods", "among trees"),
    "mountains": ("in the mountains", "before peaks with snow"),
}

# Words of phrases that name a factor by themselves.
_PLACE_WORDS = {
    "studio": ("studio", "backdrop"),
    "indoors": ("indoors", "room"),
    "street": ("street", "city", "road"),
    "meadow": ("meadow", "grass", "field"),
    "shore": ("shore", "beach", "sea"),
    "forest": ("forest", "woods"),
    "mountains": ("mountains", "snow"),
}
_ACTIVITY_WORDS = {
    "standing": ("standing",),
    "flying": ("flying", "floating"),
    "falling": ("falling", "tumbling", "dropping"),
    "lying": ("lying", "toppled"),
    "lined up": ("row", "queuing"),
    "hiding": ("hiding", "hidden", "fence"),
}
_POSITION_WORDS = {"left": ("left",), "center": ("center", "middle"), "right": ("right",)}

_PLURALS = {"fish": "fish", "scissors": "scissors", "furniture": "furniture", "food": "food"}


def plural(noun: str) -> str:
    """Several of what a noun names."""
    first, _, rest = noun.partition(" of ")
    if rest:
        return f"{plural(first)} of {rest}"
    if noun in _PLURALS:
        return _PLURALS[noun]
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return f"{noun[:-1]}ies"
    return noun + ("es" if noun.endswith(("s", "x", "ch", "sh")) else "s")


def with_article(phrase: str) -> str:
    """The phrase behind "a" or "an"; what is plural or has no number stays bare."""
    if phrase.split()[-1] in _PLURALS and phrase.split()[-1] != "fish":
        return phrase
    return f"{'an' if phrase[0] in 'aeiou' else 'a'} {phrase}"


def vocabulary() -> dict[str, list[str]]:
    """Concept word -> the planted factors ("family=value") that it names, by word.

    A colour names the object's and the backdrop's, a texture the object's surface and the backdrop.
    """
    words: dict[str, list[str]] = {}

    def name(family: str, value: str, *own: str) -> None:
        for word in own:
            words.setdefault(word, []).append(f"{family}={value}")

    for color in COLORS:
        name("object_color", color, color)
        name("background_color", color, color)
    for adjective, noun in TEXTURES.items():
        own = dict.fromkeys((adjective, noun))
        if adjective in SURFACES:
            name("surface", adjective, *own)
        name("texture", adjective, *own)
    for value in OBJECTS:
        name("object", value, value, *OBJECT_WORDS.get(value, ()))
    for value in KINDS:
        name("kind", value, value, *KIND_WORDS.get(value, ()))
    for value in REALMS:
        name("realm", value, *REALM_WORDS[value])
    for family, table in (
        ("size", SIZE_WORDS),
        ("position", _POSITION_WORDS),
        ("place", _PLACE_WORDS),
        ("activity", _ACTIVITY_WORDS),
    ):
        for value, own in table.items():
            name(family, value, *own)
    return dict(sorted(words.items()))
