# The images: `store` holds the three programs; `balancer` and `monitor` are Debian's HAProxy and Prometheus with this
# repository's configuration. Everything stands on one base image, which may come from a registry or from
#     debootstrap --variant=minbase bookworm DIR && tar -C DIR -c . | docker import - debian:bookworm-slim
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS build
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates make
WORKDIR /source
COPY . .
ARG PROFILE=dist
RUN YES=1 CARGO_TARGET_DIR=/target PROFILE=${PROFILE} make build \
    && install -d /programs \
    && install -s /target/${PROFILE}/metastore /target/${PROFILE}/storenode /target/${PROFILE}/gateway /programs/

FROM ${BASE} AS store
RUN useradd --system --uid 10001 --no-create-home --home-dir /var/lib/metastore --shell /usr/sbin/nologin metastore \
    && install -d -o metastore -m 700 /var/lib/metastore
COPY --from=build /programs/ /usr/local/bin/
COPY deploy/healthy.sh /usr/local/bin/healthy
USER metastore
WORKDIR /var/lib/metastore
VOLUME /var/lib/metastore
CMD ["metastore"]

FROM ${BASE} AS balancer
RUN apt-get update && apt-get install --yes --no-install-recommends haproxy && rm -rf /var/lib/apt/lists/*
COPY deploy/haproxy.cfg /etc/haproxy/haproxy.cfg
COPY deploy/healthy.sh /usr/local/bin/healthy
USER haproxy
CMD ["haproxy", "-W", "-db", "-f", "/etc/haproxy/haproxy.cfg"]

FROM ${BASE} AS monitor
RUN apt-get update && apt-get install --yes --no-install-recommends prometheus \
    && rm -rf /var/lib/apt/lists/* && chown prometheus /var/lib/prometheus
COPY deploy/prometheus.yml /etc/prometheus/prometheus.yml
COPY deploy/healthy.sh /usr/local/bin/healthy
USER prometheus
CMD ["prometheus", "--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/var/lib/prometheus", \
     "--storage.tsdb.retention.time=7d"]
