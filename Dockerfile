# sena in a container:
#
#   docker build -t sena .
#   docker run --rm -v "$PWD/runs:/sena/runs" sena evolve demo --out runs/demo
#
# It runs on the CPU unless it is given GPUs. Without TORCH_INDEX pip takes its usual build of torch, which may bring
# libraries for GPUs; name the index that PyTorch's installation page gives for the small CPU build, or for your CUDA:
#
#   docker build -t sena --build-arg TORCH_INDEX=ADDRESS --build-arg EXTRAS=gpu,server .
#   docker run --rm --gpus all -v "$PWD/runs:/sena/runs" sena evolve ...
#
# Pictures, runs and downloaded models are mounted, never built in. /sena/runs has to be writable for user 1000.

FROM python:3.12-slim

ARG TORCH_INDEX=
ARG EXTRAS=
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PYTHONUNBUFFERED=1

RUN useradd --uid 1000 --create-home sena && mkdir -p /sena/runs && chown -R sena /sena
WORKDIR /build

# torch first and by itself, so that nothing else decides which build of it is taken; the lock pins the rest.
COPY requirements.lock ./
RUN pip install $(grep '^torch==' requirements.lock) ${TORCH_INDEX:+--index-url "$TORCH_INDEX"}

COPY pyproject.toml README.md LICENSE ./
COPY src ./src
RUN pip install --constraint requirements.lock ".${EXTRAS:+[$EXTRAS]}" && rm -rf /build/*

USER sena
WORKDIR /sena
ENTRYPOINT ["sena"]
CMD ["--help"]
