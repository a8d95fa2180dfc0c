"""A model of no known family is tried before hours depend on it: does it see what its own processor would show it?"""

from __future__ import annotations

import math

import torch
from PIL import Image

from sena.errors import ModelError
from sena.models import encode, families
from sena.models.logprobs import Sequence, log_probabilities
from sena.models.vlm import VLM

PROMPT = "What is this?"
ALLOWED = {torch.float32: 1e-3, torch.bfloat16: 0.3, torch.float16: 0.05}
"""Gap of a token's log-probability, in nats, that rounding may make."""


def demand_right(vlm: VLM) -> None:
    """Do nothing for a known family. Raises ModelError when the trial fails, with what was found."""
    if families.find(vlm.family) is None:
        found = fault(vlm)
        if found:
            raise ModelError(f"{vlm.name} is of a family that sena does not know ({vlm.family}), and {found}")


@torch.no_grad()
def fault(vlm: VLM) -> str:
    """Empty when ids and log-probabilities of a question about a picture are those of the model's own processor."""
    picture = Image.linear_gradient("L").resize((96, 64)).convert("RGB")
    content = [{"type": "image", "image": picture}, {"type": "text", "text": PROMPT}]
    talk = [{"role": "user", "content": content}]
    how = {"add_generation_prompt": True, "tokenize": True, "return_dict": True, "return_tensors": "pt"}
    try:
        own = vlm.processor.apply_chat_template(talk, **how).to(vlm.device, vlm.dtype)
        pixels = encode.process(vlm, picture)
        ids = encode.prompt_ids(vlm, PROMPT, pixels)
        theirs = own["input_ids"][0].tolist()
        if ids != theirs:
            return f"its own processor writes a prompt in {len(theirs)} other tokens than sena in {len(ids)}"
        true = vlm.model(**own).logits[0, -1].float().log_softmax(-1)
        token = int(true.argmax())
        got = log_probabilities(vlm, [Sequence(ids, [token], pixels)])[0].item()
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # foreign code may fail in any way, and each is an answer
        return f"asked about a picture it fails ({type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]})"
    gap = abs(got - float(true[token]))
    if math.isnan(gap) or gap > ALLOWED.get(vlm.dtype, 1e-3):
        return f"its answer differs by {gap:.2g} nats from that to its own processor's inputs"
    return ""
