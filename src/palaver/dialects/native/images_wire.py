"""The shapes of the chapter "Images"."""

from msgspec import Struct

from palaver.dialects.native.wire import Id
from palaver.domain.pictures import Attached, Picture
from palaver.web.uploads import File, Form


class ImageUpload(Form):
    """A picture."""

    file: File


class Image(Struct, gc=False):
    """A picture; its owner finds it at its address."""

    id: Id
    url: str
    media_type: str
    width: int
    height: int
    size_bytes: int

    @classmethod
    def of(cls, picture: Picture | Attached) -> "Image":
        """Render a picture."""
        return cls(
            picture.uuid,
            picture.url,
            picture.media_type,
            picture.width,
            picture.height,
            picture.size_bytes,
        )
