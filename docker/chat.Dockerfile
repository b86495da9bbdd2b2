# The chat example as an image. Build from the repository's root:
#   docker build -f docker/chat.Dockerfile -t signalr-chat .
#   docker run --rm --init --network host signalr-chat --port 5000
FROM rust:1-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked -p chat

FROM debian:bookworm-slim
COPY --from=build /src/target/release/chat /usr/local/bin/chat
USER nobody
ENTRYPOINT ["/usr/local/bin/chat"]
CMD ["--port", "5000"]
