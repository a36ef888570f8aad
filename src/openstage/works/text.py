"""What may be said about a work, and in which form it is kept."""

from typing import Final

from openstage.database.text import storable
from openstage.works.errors import BadMetadata
from openstage.works.models import Metadata

LONGEST_TEXT: Final = 4000
"""Characters (code points) of a title or a description."""
LONGEST_TAG: Final = 200
MOST_TAGS: Final = 100
LARGEST_CATEGORY: Final = 32767


def checked(metadata: Metadata) -> Metadata:
    """Return the metadata in the form it is kept.

    Raises:
        BadMetadata: something is too long or too large.

    """
    for name, text in (("title", metadata.title), ("description", metadata.description)):
        if len(text) > LONGEST_TEXT:
            raise BadMetadata(f"The {name} has {len(text)} characters; at most {LONGEST_TEXT} are kept.")
    tags = tuple(tag for tag in (storable(tag).strip() for tag in metadata.tags) if tag)
    if len(tags) > MOST_TAGS:
        raise BadMetadata(f"There are {len(tags)} tags; at most {MOST_TAGS} are kept.")
    if any(len(tag) > LONGEST_TAG for tag in tags):
        raise BadMetadata(f"A tag has more than {LONGEST_TAG} characters.")
    if metadata.category is not None and not 0 <= metadata.category <= LARGEST_CATEGORY:
        raise BadMetadata("The category is not one of the documented numbers.")
    return Metadata(
        title=storable(metadata.title),
        description=storable(metadata.description),
        tags=tags,
        category=metadata.category,
    )
