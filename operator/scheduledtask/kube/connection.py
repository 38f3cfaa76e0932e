"""The connection to the API server: where it is, who we are, and a count of every request."""

import os
from types import SimpleNamespace

import aiohttp
from kubernetes.aio import client, config
from kubernetes.aio.client.rest import RESTClientObject

from scheduledtask.metrics import API_REQUESTS


async def load_configuration() -> client.Configuration:
    """The kubeconfig at KUBECONFIG, else the pod's service account, else the kubeconfig in the home folder.

    Raises kubernetes.aio.config.ConfigException where there is none.
    """
    configuration = client.Configuration()
    in_cluster = "KUBERNETES_SERVICE_HOST" in os.environ and "KUBECONFIG" not in os.environ
    if in_cluster:
        config.load_incluster_config(client_configuration=configuration)
    else:
        await config.load_kube_config(client_configuration=configuration)
    return configuration


def open_session(
    configuration: client.Configuration, user_agent: str, *traces: aiohttp.TraceConfig, trust_env: bool = False
) -> aiohttp.ClientSession:
    """A session with the API server: to be called in an event loop, and closed there.

    Who we are is not part of it, for tokens change: see `authorization`. trust_env: go through the proxy that the
    environment names; to find out costs more than all else in a request.
    """
    # Compression would cost the API server and us more time than it saves between the two.
    headers = {"User-Agent": user_agent, "Accept": "application/json", "Accept-Encoding": "identity"}
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=RESTClientObject(configuration).ssl_context, limit=0),
        headers=headers,
        proxy=configuration.proxy,
        trust_env=trust_env,
        trace_configs=[_counting_trace(), *traces],
        read_bufsize=2**21,
    )


async def authorization(configuration: client.Configuration) -> dict[str, str]:
    """The header that says who we are: to be asked for with each request, for tokens are read anew as they age."""
    token = await configuration.get_api_key_with_prefix("BearerToken")
    return {"Authorization": token} if token else {}


def _counting_trace() -> aiohttp.TraceConfig:
    """Counts requests by verb and status code as they end; a watch counts when its answer begins."""
    trace = aiohttp.TraceConfig()

    async def count(_: aiohttp.ClientSession, __: SimpleNamespace, params: aiohttp.TraceRequestEndParams) -> None:
        verb = "WATCH" if "watch" in params.url.query else params.method
        API_REQUESTS.labels(verb=verb, code=str(params.response.status)).inc()

    async def count_failure(
        _: aiohttp.ClientSession, __: SimpleNamespace, params: aiohttp.TraceRequestExceptionParams
    ) -> None:
        API_REQUESTS.labels(verb=params.method, code="error").inc()

    trace.on_request_end.append(count)
    trace.on_request_exception.append(count_failure)
    return trace
