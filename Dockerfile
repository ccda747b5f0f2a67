# One image for every role: what the container runs is its command (`run`, `ingress`, `worker rules` …).
# Python is the version that the tests run with. hadolint reads this file in tests/deploy.
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
COPY constraints.txt ./
# The constraints hold for what builds the wheel, too.
ENV PIP_CONSTRAINT=/src/constraints.txt
RUN python -m venv /opt/dicom-router
COPY pyproject.toml README.md LICENSE ./
COPY alembic ./alembic
COPY rules ./rules
COPY router ./router
COPY workers ./workers
# Other extras: `docker build --build-arg EXTRAS=postgresql,ocr .` can find text in pictures, and is 300 MB larger.
ARG EXTRAS=postgresql
# A wheel, installed as any other: nothing in the image knows that there was a repository.
RUN pip wheel --no-deps --wheel-dir /wheels . \
 && wheel=$(ls /wheels/dicom_router-*.whl) \
 && /opt/dicom-router/bin/pip install "${wheel}[${EXTRAS}]" \
 && /opt/dicom-router/bin/pip uninstall --yes pip

FROM python:3.11-slim-bookworm
LABEL org.opencontainers.image.title="dicom-router" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --system --gid 10001 router \
 && useradd --system --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin router \
 && install --directory --owner=10001 --group=10001 --mode=0750 /var/lib/dicom-router /srv/objects /srv/received
COPY --from=build /opt/dicom-router /opt/dicom-router
ENV PATH=/opt/dicom-router/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    DICOM_ROUTER_CONFIG=/etc/dicom-router/site/site.yaml
WORKDIR /var/lib/dicom-router
USER 10001:10001
EXPOSE 11112 9464
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=6s --start-period=60s --retries=4 \
  CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:%s/ready' % os.environ.get('DICOM_ROUTER_METRICS_PORT', '9464'), timeout=5)"]
ENTRYPOINT ["dicom-router"]
CMD ["run"]
