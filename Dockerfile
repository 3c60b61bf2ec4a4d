# The two images: `docker build --target operator .` and `docker build --target trainer .`
#
# Packages come from the locks, in layers below the project's own code: a change of that is a layer of kilobytes. Both
# images run under any user and with a read-only root file system; what they write goes below /tmp and to the folders
# that they are told.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

# -- what a build needs and no image holds ---------------------------------------------------------------------------

FROM ${PYTHON_IMAGE} AS tools
COPY requirements/build.lock /requirements/
RUN pip install --no-cache-dir --require-hashes --requirement /requirements/build.lock
# The images take their locks from here, not from the context: buildah before 1.30 mounts a stage without what its cache
# has of it (buildah#4375), unless a later stage copies from it.
COPY requirements /requirements/

FROM tools AS code
COPY . /project
RUN pip install --no-cache-dir --no-deps --no-build-isolation --target /everstep /project

# -- what both images are ----------------------------------------------------------------------------------------------

FROM ${PYTHON_IMAGE} AS runtime
# HOME and USER: a number without an entry in /etc/passwd has neither, and PyTorch asks for both.
ENV HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONPATH=/opt/everstep \
    PYTHONUNBUFFERED=1 \
    USER=everstep
WORKDIR /tmp

# -- the operator ------------------------------------------------------------------------------------------------------

FROM runtime AS operator
COPY --from=tools /requirements/operator.lock /opt/requirements/
RUN --mount=type=bind,from=tools,source=/usr/local,target=/tools --mount=type=cache,target=/root/.cache/uv \
    /tools/bin/uv pip install --python /usr/local/bin/python --link-mode copy --compile-bytecode --no-deps \
      --require-hashes --requirements /opt/requirements/operator.lock
COPY --from=code /everstep /opt/everstep/
USER 65532:65532
ENTRYPOINT ["python", "-m", "everstep_operator"]

# -- the trainer -------------------------------------------------------------------------------------------------------

FROM runtime AS trainer
# torch.lock is the build for CUDA, 5 GB of it. Whoever reaches PyTorch's own index of builds for the CPU has a small image
# by `--build-arg TORCH=torch-cpu.txt --build-arg TORCH_INDEX=` and its URL.
ARG TORCH=torch.lock
ARG TORCH_INDEX=""
COPY --from=tools /requirements/${TORCH} /opt/requirements/
RUN --mount=type=bind,from=tools,source=/usr/local,target=/tools --mount=type=cache,target=/root/.cache/uv \
    /tools/bin/uv pip install --python /usr/local/bin/python --link-mode copy --compile-bytecode \
      --requirements /opt/requirements/${TORCH}
COPY --from=tools /requirements/trainer.lock /opt/requirements/
RUN --mount=type=bind,from=tools,source=/usr/local,target=/tools --mount=type=cache,target=/root/.cache/uv \
    /tools/bin/uv pip install --python /usr/local/bin/python --link-mode copy --compile-bytecode --no-deps \
      --require-hashes --requirements /opt/requirements/trainer.lock
COPY --from=code /everstep /opt/everstep/
USER 65532:65532
ENTRYPOINT ["python", "-m", "everstep_agent"]
