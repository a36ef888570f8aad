"""The words of a made-up catalogue: those of `words.toml`, and a long tail that is put together."""

import random
import tomllib
from pathlib import Path
from typing import Any, Final

_WORDS: Final[dict[str, Any]] = tomllib.loads((Path(__file__).parent / "words.toml").read_text("utf-8"))
CHINESE: Final[list[str]] = _WORDS["chinese"].split()
ENGLISH: Final[list[str]] = _WORDS["english"].split()
GENRES: Final[list[str]] = _WORDS["genres"]
MOODS: Final[list[str]] = _WORDS["moods"]
INSTRUMENTS: Final[list[str]] = _WORDS["instruments"]
_ONSETS: Final[list[str]] = [
    *"bcdfghjklmnprstvwz",
    "br",
    "ch",
    "dr",
    "fl",
    "gr",
    "kr",
    "pr",
    "qu",
    "sh",
    "st",
    "th",
    "tr",
]
_VOWELS: Final[list[str]] = [*"aeiou", "ai", "ea", "ou", "io"]
_ENDS: Final[list[str]] = ["", *"nrlstmx", "nd", "st", "ck", "th", "ng"]
_SIGNS: Final = (
    "天地人山水火风云雨雪日月星光影花草木林石金银玉龙凤马鱼鸟虎春夏秋冬晨夜朝暮东西南北江河湖海城乡路桥楼台亭阁梦心情思念"
    "爱恨歌舞琴箫鼓笛声韵曲调远近高低长短新旧青红白黑蓝紫绿清明静动飞行归来去过望听见说笑醉醒寒暖轻重深浅空灵仙佛神"
)


def tail(count: int, seed: int) -> tuple[list[str], list[str]]:
    """Return `count` made-up words of each script, all different: `(chinese, english)`."""
    draw = random.Random(seed)
    chinese: dict[str, None] = {}
    english: dict[str, None] = {}
    while len(chinese) < count:
        chinese["".join(draw.choices(_SIGNS, k=draw.choice((2, 2, 2, 3))))] = None
    while len(english) < count:
        syllables = draw.choice((1, 2, 2, 3))
        english["".join(draw.choice(_ONSETS) + draw.choice(_VOWELS) for _ in range(syllables)) + draw.choice(_ENDS)] = (
            None
        )
    return list(chinese), list(english)
