# The operator's image. Context: the root of the repository.
#
#   docker build -t scheduledtask-operator:0.1.0 .
#
# Both bases must have the same Python 3.13 as `python3`: the wheels and the byte code of the first stage run in the second.
ARG BASE_IMAGE=python:3.13-slim
ARG BUILD_IMAGE=${BASE_IMAGE}

FROM ${BUILD_IMAGE} AS build
COPY requirements/operator.txt /build/requirements.txt
RUN python3 -m pip install --no-cache-dir --no-compile --require-hashes --only-binary=:all: \
      --requirement /build/requirements.txt --target /app/site-packages
# Of the 80 MB of kubernetes the operator uses the asyncio client's connection and configuration, with bodies of its own. The
# classes of each API and model, of that client and of the blocking one, are imported on first use only: never.
RUN cd /app/site-packages \
 && rm -rf bin kubernetes/client/api kubernetes/e2e_test kubernetes/aio/e2e_test \
 && find kubernetes/client/models kubernetes/aio/client/api kubernetes/aio/client/models -type f ! -name __init__.py -delete \
 && find . -depth \( -type d \( -name tests -o -name test \) -o -name '*_test.py' -o -name '*.pyi' -o -name '*.pyx' -o -name '*.c' \) \
      -exec rm -rf {} +
COPY operator/scheduledtask /app/operator/scheduledtask
# The root file system is read-only at run time, so byte code is made here; it is never stale, so it is never checked.
RUN python3 -m compileall -q --invalidation-mode unchecked-hash /app

FROM ${BASE_IMAGE}
LABEL org.opencontainers.image.title="scheduledtask-operator" \
      org.opencontainers.image.description="Runs ScheduledTasks: schedules, retries and overlap rules over native CronJobs" \
      org.opencontainers.image.version="0.1.0"
# What a base brings to install packages has no use here.
RUN rm -rf /usr/local/bin/pip* /usr/local/lib/python3*/site-packages/pip*
COPY --from=build /app/site-packages /app/site-packages
COPY --from=build /app/operator /app/operator
# One heap for both threads, and what a long list took given back when it is read: else much of it stays.
# kopf asks for the name of its user, and the user below, like any that a cluster chooses, has no entry in /etc/passwd.
ENV PYTHONPATH=/app/operator:/app/site-packages \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    MALLOC_ARENA_MAX=1 \
    MALLOC_TRIM_THRESHOLD_=131072 \
    LOGNAME=scheduledtask-operator
WORKDIR /app
USER 65532:65532
EXPOSE 8080
# Nothing that was left out is missed: not of the packages above, and not of Python in this base.
RUN ["python3", "-m", "scheduledtask", "--help"]
ENTRYPOINT ["python3", "-m", "scheduledtask"]
