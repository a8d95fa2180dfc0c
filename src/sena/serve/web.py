"""A page for the browser: the models of a run side by side on one picture, all in this process."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sena.errors import ImageError, SenaError
from sena.images.config import LimitsConfig
from sena.images.decode import decode
from sena.mini import stranger
from sena.serve import gallery
from sena.serve.gallery import Example, Voice
from sena.serve.speaker import Conversation, Speaker, load
from sena.serve.stream import cleaned

KEPT = 2
"""Models held in memory at once; the one unused for longest gives way."""
MAX_NEW_TOKENS = 512
HOST = "127.0.0.1"
ABOUT = "All of it happens on this machine. Tick the models that shall answer; each is loaded when it is first asked."
CSS = """
footer { display: none !important }
.gradio-container { width: 100% !important; max-width: 1200px !important; margin: 0 auto !important }
#picture img { width: 100%; height: 100%; object-fit: contain }
"""


@dataclass(slots=True)
class Shelf:
    """The models that were asked last, loaded on demand."""

    kept: dict[str, Speaker] = field(default_factory=dict)

    def get(self, name: str) -> Speaker:
        speaker = self.kept.pop(name, None)
        if speaker is None:
            while len(self.kept) >= KEPT:
                del self.kept[next(iter(self.kept))]
            speaker = load(name)
        self.kept[name] = speaker  # the order of the dictionary is the order of use
        return speaker


def web(model: str | Path, port: int = 7860) -> None:
    """Serve the page for a run or a model on this machine alone, until Ctrl-C.

    Raises SenaError when gradio is not installed, when there is no such model, and when the port is taken.
    """
    voices, examples = gallery.voices(str(model)), gallery.examples(str(model))
    with tempfile.TemporaryDirectory(prefix="sena-web-") as folder:
        page = build(str(model), voices, examples, Path(folder))
        try:
            launch(page, port)
        except OSError as error:
            raise SenaError(f"Port {port} is in use: give another one with --port") from error
        print(f"Open in a browser: http://{HOST}:{port} (Ctrl-C ends it)", flush=True)
        page.block_thread()


def launch(page: Any, port: int) -> None:
    """Start serving, on this machine alone, with nothing fetched from elsewhere."""
    gradio = _gradio()
    system = ["system-ui", "sans-serif"]
    theme = gradio.themes.Default(font=system, font_mono=["ui-monospace", "monospace"], primary_hue="blue")
    page.launch(
        server_name=HOST,
        server_port=port,
        share=False,
        quiet=True,
        prevent_thread_lock=True,
        max_file_size=LimitsConfig().max_bytes,
        run_history=False,
        footer_links=[],
        ssr_mode=False,
        mcp_server=False,
        enable_monitoring=False,
        theme=theme,
        css=CSS,
    )


def build(title: str, voices: Sequence[Voice], examples: Sequence[Example], folder: Path) -> Any:
    """The page. Its files, uploads included, lie in `folder`."""
    os.environ["GRADIO_TEMP_DIR"] = str(folder / "uploads")
    gradio = _gradio()
    labels = [voice.label for voice in voices]
    with gradio.Blocks(title=f"sena: {title}", analytics_enabled=False) as page:
        about = f"{ABOUT} {stranger.ABOUT}." if stranger.is_miniature(voices[0].model) else ABOUT
        gradio.HTML(f"<h2>sena</h2><p>{about}</p>")
        with gradio.Row():
            with gradio.Column(scale=2, min_width=300):
                upload = ["upload", "clipboard"]
                picture = gradio.Image(
                    type="filepath", image_mode=None, sources=upload, label="Picture", height=320, elem_id="picture"
                )
                picture.preprocess = _path_of
            with gradio.Column(scale=3, min_width=300):
                question = gradio.Textbox(label="Question", lines=2, elem_id="question")
                with gradio.Row():
                    ticked = list(dict.fromkeys([labels[0], labels[-1]]))
                    asked = gradio.CheckboxGroup(labels, value=ticked, label="Who answers")
                    heat = gradio.Slider(0, 1.5, 0, step=0.1, label="Temperature", info="0 takes the likeliest word")
                with gradio.Row():
                    go = gradio.Button("Ask", variant="primary", elem_id="ask")
                    stop = gradio.Button("Stop")
        with gradio.Row():
            boxes = [_box(gradio, label) for label in labels]
        if examples:
            rows = [[str(_store(each, number, folder)), each.question] for number, each in enumerate(examples)]
            gradio.Examples(rows, [picture, question], label="Pictures and questions of this run")
        inputs = [picture, question, heat, asked]
        respond = _responder(voices, gradio.Error)
        events = [trigger(respond, inputs, boxes, api_name=False) for trigger in (go.click, question.submit)]
        stop.click(None, cancels=events, api_name=False)
    return page


def _path_of(upload: Any) -> str | None:
    """Where an upload lies. Our own decoder opens it, with our limits, and none before it."""
    return upload and upload.path


def _box(gradio: Any, label: str) -> Any:
    """Where a model's words go: a text box shows them as they are, no markup is read out of them."""
    return gradio.Textbox(label=label, lines=5, interactive=False, min_width=260, elem_classes="answer")


def _responder(voices: Sequence[Voice], fault: type[Exception]) -> Callable[..., Iterator[list[str]]]:
    shelf = Shelf()

    def respond(path: str | None, question: str, temperature: float, asked: list[str]) -> Iterator[list[str]]:
        """The texts of all boxes, ever longer; the models speak one after the other."""
        if not path or not question.strip():
            raise fault("Give a picture and a question")
        try:
            picture = decode(Path(path).read_bytes(), LimitsConfig())
        except ImageError as error:
            raise fault(f"This file cannot be used as a picture: {error.reason}") from error
        texts, seed = [""] * len(voices), secrets.randbits(31)
        for place, voice in enumerate(voices):
            if voice.label not in asked:
                continue
            texts[place] = "..."
            yield list(texts)
            texts[place] = ""
            try:
                talk = Conversation(shelf.get(voice.model).vlm, picture, temperature, MAX_NEW_TOKENS, seed)
                for piece in cleaned(talk.say(question)):
                    texts[place] += piece
                    yield list(texts)
            except SenaError as error:
                texts[place] = f"[{error}]"
            yield list(texts)

    return respond


def _store(example: Example, number: int, folder: Path) -> Path:
    path = folder / f"example-{number}.png"
    example.picture.save(path)
    return path


def _gradio() -> Any:
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    try:
        import gradio
    except ImportError as error:
        raise SenaError('The page needs gradio, which is not installed: pip install "sena[web]"') from error
    return gradio
