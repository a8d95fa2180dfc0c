"""The process that holds vLLM (`python -P vllm_process.py FD`): messages in and out of a socket.

It runs in vLLM's environment, which need not have sena, so nothing of sena is imported here.

An order is JSON, `looks` (how each new one comes) and `prompts` (ids, look, sampling), then one message of bytes a new
look. The reply is JSON: `made`, the new ids and how they ended; `failed` says why there are none. The process ends
when the other side is closed. Written against vLLM 0.33.
"""

from __future__ import annotations

import io
import json
import sys
from multiprocessing.connection import Connection
from typing import Any


def main(descriptor: int) -> None:
    pipe = Connection(descriptor)
    try:
        options = json.loads(pipe.recv_bytes())
        llm = _start(options)
        _tell(pipe, {"ready": True})
        looks: dict[str, Any] = {}
        while True:
            order = json.loads(pipe.recv_bytes())
            if order["forget"]:
                looks.clear()
            looks |= {name: _look(kind, pipe.recv_bytes()) for name, kind in order["looks"]}
            _tell(pipe, {"made": _made(llm, order["prompts"], looks)})
    except EOFError:
        return
    except Exception as error:  # whatever vLLM may raise ends here, and is told to the run
        _tell(pipe, {"failed": f"{type(error).__name__}: {error}"})
        raise


def _start(options: dict[str, Any]) -> Any:
    import vllm  # pyright: ignore[reportMissingImports]

    return vllm.LLM(
        **options,
        seed=0,
        trust_remote_code=False,
        load_format="safetensors",
        enable_prefix_caching=True,
        limit_mm_per_prompt={"image": 1},
    )


def _look(kind: str, data: bytes) -> Any:
    """What vLLM takes for a picture: itself, or a list of one picture's tokens [P, D]."""
    if kind == "picture":
        from PIL import Image

        return Image.open(io.BytesIO(data)).convert("RGB")
    from safetensors.torch import load

    return [load(data)["tokens"]]


def _made(llm: Any, prompts: list[dict[str, Any]], looks: dict[str, Any]) -> list[tuple[list[int], str | None]]:
    """New ids, the stop id included, and how each ended."""
    import vllm  # pyright: ignore[reportMissingImports]

    # greedy here is greedy there: the checkpoint's penalty stays, as transformers keeps it
    penalty = llm.get_default_sampling_params().repetition_penalty
    asked = [vllm.SamplingParams(**each["sampling"], repetition_penalty=penalty) for each in prompts]
    results = llm.generate([_prompt(each, looks) for each in prompts], asked, use_tqdm=False)
    return [(list(each.outputs[0].token_ids), each.outputs[0].finish_reason) for each in results]


def _prompt(each: dict[str, Any], looks: dict[str, Any]) -> dict[str, Any]:
    prompt: dict[str, Any] = {"prompt_token_ids": each["ids"]}
    if each["look"] is None:
        return prompt
    # its own id: no hashing of pixels, and the prefix cache knows a look again
    return {
        **prompt,
        "multi_modal_data": {"image": looks[each["look"]]},
        "multi_modal_uuids": {"image": [each["look"]]},
    }


def _tell(pipe: Connection, value: dict[str, Any]) -> None:
    pipe.send_bytes(json.dumps(value).encode())


if __name__ == "__main__":
    main(int(sys.argv[1]))
