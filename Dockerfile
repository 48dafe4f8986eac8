# EditWorld's page in a container; docs/deployment.md has the commands.
#
# What is built works on a processor and, with the NVIDIA container toolkit, on a GPU: torch as pip has it brings CUDA
# along. TORCH_INDEX takes torch from another index; pytorch.org names one without CUDA, for an image some GB smaller.
FROM python:3.12-slim

ARG TORCH_INDEX=""
ARG MCP=""

ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PYTHONUNBUFFERED=1

RUN useradd --create-home --uid 1000 editworld
WORKDIR /home/editworld/app

# Before the program, so that a change of it does not install everything again.
COPY requirements.txt ./
RUN grep -E '^torch(vision)?[<>=]' requirements.txt > torch.txt \
    && pip install ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} -r torch.txt \
    && pip install -r requirements.txt ${MCP:+"gradio[mcp]"} \
    && rm torch.txt

COPY app.py LICENSE THIRD_PARTY.md ./
COPY editworld_core ./editworld_core
COPY training ./training
COPY ui ./ui
COPY examples ./examples

# For data sets, if EDITWORLD_DATA names the folder, and weights from the hub: mount volumes here to keep them.
RUN mkdir -p /home/editworld/data /home/editworld/.cache/huggingface \
    && chown -R editworld:editworld /home/editworld/data /home/editworld/.cache

ENV GRADIO_ANALYTICS_ENABLED=False \
    GRADIO_SERVER_NAME=0.0.0.0 \
    GRADIO_SERVER_PORT=7860 \
    HF_HUB_DISABLE_TELEMETRY=1

USER 1000
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=10s --start-period=120s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7860/', timeout=9)"]
CMD ["python", "app.py"]
