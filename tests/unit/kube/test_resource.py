"""Where objects are found at the API server."""

import pytest

from scheduledtask.kube.reflector import Resource
from scheduledtask.kube.wire import JobObject, PodObject


@pytest.mark.parametrize(
    ("resource", "path"),
    [
        (Resource(JobObject, "/apis/batch/v1", "jobs", None), "/apis/batch/v1/jobs"),
        (Resource(JobObject, "/apis/batch/v1", "jobs", "ns"), "/apis/batch/v1/namespaces/ns/jobs"),
        (Resource(PodObject, "/api/v1", "pods", "ns"), "/api/v1/namespaces/ns/pods"),
    ],
)
def test_the_path_of_a_resource(resource: Resource[JobObject], path: str) -> None:
    assert resource.path == path
