"""A model that is there, to ask and to talk with."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from sena.engines.local import LocalEngine
from sena.errors import ImageError, SenaError
from sena.images.config import LimitsConfig
from sena.images.decode import decode
from sena.models import encode
from sena.models import load as loading
from sena.models.quantize import Quantize
from sena.models.vlm import VLM
from sena.recipes import names
from sena.records import Request
from sena.seeds import derive
from sena.serve.stream import stream

Picture = str | Path | Image.Image
"""A file, or a picture in memory."""
LEAST_ANSWER = 16
"""Tokens that must be left for an answer."""


@dataclass(slots=True)
class Conversation:
    """Several questions about one picture, each answered in the light of those before. `turns` holds what was said."""

    vlm: VLM
    picture: Image.Image | None = None
    temperature: float = 0.0
    max_new_tokens: int = 512
    seed: int = 0
    turns: list[tuple[str, str]] = field(default_factory=list)

    def show(self, image: Picture | None) -> None:
        """Another picture, or none: the conversation begins anew, since a template knows one picture."""
        self.picture = None if image is None else open_picture(image)
        self.turns.clear()

    def clear(self) -> None:
        """Forget what was said. The picture stays."""
        self.turns.clear()

    def say(self, text: str) -> Generator[str, None, None]:
        """The answer in pieces. It is remembered as far as it came, also when the iterator is closed amid it.

        Raises SenaError when the model has no room left for an answer, or knows one turn only.
        """
        if self.turns and not self.vlm.template.between:
            raise SenaError(
                f"The chat template of {self.vlm.name} knows one question only: clear the conversation first"
            )
        pixels = None if self.picture is None else encode.process(self.vlm, self.picture)
        ids = encode.chat_ids(self.vlm, self.turns, text, pixels)
        seed = derive(self.seed, "chat", len(self.turns))
        request = Request("chat", text, None, self._room(ids), temperature=self.temperature, seed=seed)
        said = ""
        try:
            for piece in stream(self.vlm, request, ids, pixels):
                said += piece
                yield piece
        finally:
            if said:
                self.turns.append((text, said))

    def ask(self, text: str) -> str:
        """The whole answer at once."""
        return "".join(self.say(text))

    def _room(self, ids: Sequence[int]) -> int:
        limit = getattr(self.vlm.model.config.get_text_config(), "max_position_embeddings", None)
        left = self.max_new_tokens if limit is None else min(self.max_new_tokens, limit - len(ids))
        if left < min(LEAST_ANSWER, self.max_new_tokens):
            raise SenaError(
                f"The conversation has {len(ids)} tokens and {self.vlm.name} reads {limit}: clear it and begin anew"
            )
        return left


@dataclass(slots=True)
class Speaker:
    """A loaded model. `name` is its folder or hub name."""

    name: str
    engine: LocalEngine

    @property
    def vlm(self) -> VLM:
        return self.engine.vlm

    def ask(
        self, image: Picture | None, question: str, temperature: float = 0.0, max_new_tokens: int = 256, seed: int = 0
    ) -> str:
        """The answer to one question about one picture (or none). Greedy for temperature 0."""
        name = None if image is None else "picture"
        request = Request("ask", question, name, max_new_tokens, temperature=temperature, seed=seed)
        return self.engine.generate([request], lambda _: open_picture(image or ""))[0].text

    def chat(self, image: Picture | None = None, temperature: float = 0.0, max_new_tokens: int = 512) -> Conversation:
        """A conversation about one picture (or none)."""
        picture = None if image is None else open_picture(image)
        return Conversation(self.vlm, picture, temperature, max_new_tokens)


def load(model: str | Path, dtype: str = "auto", device: str = "auto", quantize: Quantize = "none") -> Speaker:
    """A model's folder or hub name, `mini`, or a run folder: then its last round's model.

    Raises SenaError with the mend when there is none.
    """
    name = names.model_or_run(str(model))
    return Speaker(name, LocalEngine(loading.load(name, dtype, device, quantize)))


def ask(model: str | Path, images: Sequence[str | Path], question: str, max_new_tokens: int = 256) -> list[str]:
    """The model's greedy answer to `question` about each picture. `model` may be a run folder: its last model.

    Raises SenaError naming the picture that cannot be read.
    """
    pictures = {str(path): open_picture(path) for path in images}
    requests = [Request(path, question, path, max_new_tokens) for path in map(str, images)]
    return [reply.text for reply in load(model).engine.generate(requests, pictures.__getitem__)]


def open_picture(image: Picture, limits: LimitsConfig = LimitsConfig()) -> Image.Image:
    """An RGB picture within the limits. Raises SenaError naming the file."""
    if isinstance(image, Image.Image):
        return image.convert("RGB")
    path = Path(image).expanduser()
    try:
        if path.stat().st_size > limits.max_bytes:
            raise ImageError("too many bytes", f"the limit is {limits.max_bytes}")
        return decode(path.read_bytes(), limits)
    except ImageError as error:
        raise SenaError(f"{image} cannot be used as a picture ({error})") from error
    except OSError as error:
        raise SenaError(f"{image} cannot be read ({error.strerror}): check the path") from error
