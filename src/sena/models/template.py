"""The chat template, held once for data, training and evaluation, so that the three cannot drift apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sena.errors import ModelError

# The two templates below are an interface of the LLaVA-1.5 checkpoints: exact to the letter.
VICUNA_V1_SYSTEM = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions."
)
LLAVA_V1_SYSTEM = (
    "A chat between a curious human and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the human's questions."
)
# The same for every other program, in the language of chat templates. A system message takes the sentence's place.
_VICUNA_JINJA = """
{%- macro words(message) -%}
{%- if message['content'] is string %}{{ message['content'] }}{% else -%}
{%- for part in message['content'] if part['type'] == 'text' %}{{ part['text'] }}{% endfor %}{% endif %}
{%- endmacro -%}
[BEGIN]{% if messages[0]['role'] == 'system' %}{{ words(messages[0]) }}{% else %}[SYSTEM]{% endif %}{{ ' ' }}
{%- for message in messages if message['role'] != 'system' -%}
{%- if message['role'] == 'assistant' %} ASSISTANT: {{ words(message) }}{{ eos_token }}{% else %}USER: {{ '' -}}
{%- if message['content'] is not string -%}
{%- for part in message['content'] if part['type'] == 'image' %}{{ '[IMAGE]\n' }}{% endfor %}{% endif -%}
{{ words(message) }}{% endif %}
{%- endfor -%}
{%- if add_generation_prompt %} ASSISTANT:{% endif -%}
"""
# PaliGemma has none at all: its processor itself sets the begin token behind the picture and a line break at the end.
_PALIGEMMA_JINJA = (
    "{% for message in messages %}{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}[IMAGE]{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}{% endfor %}"
)
_TEXT, _ANSWER = "\ue000", "\ue001"  # private-use characters: no template holds them, so they mark where text goes


@dataclass(frozen=True, slots=True)
class Template:
    """One user turn and the opening of the assistant's, cut at the places where text goes in.

    A prompt is `before + text + after`, or `before_image + text + after` with the picture's placeholder in it;
    an answer is `separator + text` and then the end token. `between` stands between an answer and the next user's
    text, the end of the answer included; it is empty where the template knows one turn only.
    """

    name: str
    before: str
    before_image: str
    after: str
    separator: str
    closing: str
    between: str = ""


def vicuna(name: str, system: str, image_token: str, end: str) -> Template:
    """The template of LLaVA-1.5 (`vicuna_v1` in LLaVA's code), which the hub's copies print without system sentence."""
    head = f"{system} USER: "
    return Template(name, head, f"{head}{image_token}\n", " ASSISTANT:", " ", end, f"{end}USER: ")


def paligemma(processor: Any) -> Template:
    """What PaliGemma's processor makes of a prompt: one turn, no roles. Its checkpoints bring no template."""
    words = processor.tokenizer
    begin = words.bos_token
    return Template("paligemma", begin, f"{processor.image_token}{begin}", "\n", "", words.eos_token)


def from_processor(processor: Any) -> Template:
    """Cut the checkpoint's own chat template at the places of the text. Raises ModelError when it has none."""
    if not getattr(processor, "chat_template", None):
        raise ModelError("this model has no chat template: put a chat_template.jinja beside its processor's files")
    text: list[dict[str, str]] = [{"type": "text", "text": _TEXT}]
    turns = [
        {"role": "user", "content": [{"type": "image"}, *text]},
        {"role": "assistant", "content": [{"type": "text", "text": _ANSWER}]},
    ]
    plain = _render(processor, [{"role": "user", "content": text}], opened=True)
    pictured = _render(processor, turns[:1], opened=True)
    answered = _render(processor, turns, opened=False)
    before, _, after = plain.partition(_TEXT)
    before_image, mark, after_image = pictured.partition(_TEXT)
    if not mark or after != after_image or _ANSWER not in answered:
        raise ModelError("this model's chat template does not keep the user's text in one piece; sena cannot use it")
    opening, _, closing = answered.partition(_ANSWER)
    separator = opening.removeprefix(pictured) if opening.startswith(pictured) else ""
    return Template("chat", before, before_image, after, separator, closing, _between(processor, turns, answered))


def _between(processor: Any, turns: list[dict[str, Any]], answered: str) -> str:
    """What stands between an answer and the next user's text, if all before it stays as it was."""
    try:
        longer = _render(
            processor, [*turns, {"role": "user", "content": [{"type": "text", "text": _TEXT}]}], opened=True
        )
    except Exception:  # a template may raise errors of its own for a second turn
        return ""
    first, _, rest = longer.partition(_ANSWER)
    between, mark, _ = rest.partition(_TEXT)
    return between if mark and first == answered.partition(_ANSWER)[0] else ""


def _render(processor: Any, turns: list[dict[str, Any]], opened: bool) -> str:
    return processor.apply_chat_template(turns, tokenize=False, add_generation_prompt=opened)


def settle(processor: Any, template: Template) -> None:
    """Write LLaVA-1.5's own template and padding, or PaliGemma's template, into the processor, so that a saved model is
    spoken to and shown pictures as it was trained by every other program as well. Others have theirs already."""
    if template.name == "paligemma":
        processor.chat_template = _PALIGEMMA_JINJA.replace("[IMAGE]", processor.image_token)
    if template.name != "vicuna_v1":
        return
    begin = processor.tokenizer.bos_token or ""
    with_begin = processor.tokenizer(f"{begin}{VICUNA_V1_SYSTEM}", add_special_tokens=False)["input_ids"]
    # some programs begin a chat without a first token: it stands in the template where that changes nothing else
    is_alike = begin and with_begin == processor.tokenizer(VICUNA_V1_SYSTEM)["input_ids"]
    text = _VICUNA_JINJA.strip().replace("[BEGIN]", "{{ bos_token }}" if is_alike else "")
    processor.chat_template = text.replace("[SYSTEM]", VICUNA_V1_SYSTEM).replace("[IMAGE]", processor.image_token)
    processor.image_processor.do_pad = True


def for_data(name: str, current: Template, processor: Any) -> Template:
    """The template under which answers are made: `same` as in training, or the released code's `llava_v1`."""
    if name == "same":
        return current
    return vicuna("llava_v1", LLAVA_V1_SYSTEM, processor.image_token, processor.tokenizer.eos_token)


def choose(model_type: str, processor: Any) -> Template:
    """LLaVA-1.5 and PaliGemma checkpoints get the template they were trained with; every other model brings its own.

    They are told by their model type and by the vicuna roles in the template on the hub, which lacks the system
    sentence; a `llava` with another chat template (the miniature, a user's own) keeps its own.
    """
    if model_type == "paligemma":
        return paligemma(processor)
    shipped = getattr(processor, "chat_template", None) or ""
    if isinstance(shipped, dict):
        shipped = shipped.get("default", "")
    if model_type == "llava" and ("ASSISTANT:" in shipped or not shipped):
        return vicuna("vicuna_v1", VICUNA_V1_SYSTEM, processor.image_token, processor.tokenizer.eos_token)
    return from_processor(processor)
