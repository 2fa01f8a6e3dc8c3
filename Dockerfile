# Airtune with all that it trains with, on the CPU: docker run --rm -v "$PWD:/work" airtune run quickstart
FROM python:3.11-slim
COPY . /opt/airtune
RUN python -m pip install --no-cache-dir --constraint /opt/airtune/constraints.txt \
        --extra-index-url https://download.pytorch.org/whl/cpu "/opt/airtune[train]"
WORKDIR /work
ENTRYPOINT ["airtune"]
