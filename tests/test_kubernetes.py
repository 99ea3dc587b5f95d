"""The manifests for Kubernetes: they are valid, agree with each other, and name what this program has.

No Kubernetes runs here: whether they work there is not tested. Kubernetes' own kinds are checked against its schemas.
That of KubeRay's RayCluster comes with no package: its pods are checked as those of Kubernetes, its own fields against
the list below (of KubeRay's reference), and what Ray's autoscaler reads by letting that read it.
"""

from __future__ import annotations

import copy
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from pipeline.cluster.slots import SLOT
from pipeline.server.rest.component import SCRIPT
from pipeline.settings import ROOT, Settings

validator = pytest.importorskip("kubernetes_validate", reason="pip install -r requirements-dev.txt")

FOLDER = ROOT / "deploy" / "kubernetes"
VERSIONS = ("1.30", validator.latest_version())
"""The oldest Kubernetes that they are for, and the newest that the schemas know."""

RAY_FIELDS = {
    "spec": {"rayVersion", "enableInTreeAutoscaling", "autoscalerOptions", "headGroupSpec", "workerGroupSpecs"},
    "autoscalerOptions": {"idleTimeoutSeconds", "upscalingMode", "resources", "envFrom", "securityContext"},
    "headGroupSpec": {"serviceType", "rayStartParams", "template"},
    "workerGroupSpecs": {"groupName", "replicas", "minReplicas", "maxReplicas", "rayStartParams", "template"},
}
"""Those fields of a RayCluster of KubeRay that are used, of each part."""
OTHERS_VARIABLES = re.compile(r"RAY_\w+|AWS_[A-Z_]+|PYTHONPATH|POD_IP|REDIS_PASSWORD|REDISCLI_AUTH")
"""Variables that are no settings of this program."""


def documents() -> list[dict[str, Any]]:
    """Return all resources that the kustomization lists."""
    kustomization = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
    listed = kustomization["resources"]
    assert {*listed, "kustomization.yaml"} == {path.name for path in FOLDER.iterdir()}
    return [one for name in listed for one in yaml.safe_load_all((FOLDER / name).read_text())]


DOCUMENTS = documents()
[RAY] = [one for one in DOCUMENTS if one["kind"] == "RayCluster"]
[WORKERS] = RAY["spec"]["workerGroupSpecs"]


def of_kind(kind: str) -> dict[str, dict[str, Any]]:
    return {one["metadata"]["name"]: one for one in DOCUMENTS if one["kind"] == kind}


def pods() -> dict[str, dict[str, Any]]:
    """Return the pod templates, by name."""
    templates = {name: one["spec"]["template"] for name, one in of_kind("Deployment").items()}
    return {**templates, "head": RAY["spec"]["headGroupSpec"]["template"], "node": WORKERS["template"]}


def containers() -> Iterator[dict[str, Any]]:
    for pod in pods().values():
        yield from pod["spec"]["containers"]


def as_pod_template(template: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "pod"}, "template": template}


PLAIN = [one for one in DOCUMENTS if one["kind"] != "RayCluster"] + [as_pod_template(one) for one in pods().values()]


def name_of(document: dict[str, Any]) -> str:
    return f"{document['kind']}-{document['metadata']['name']}"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("document", PLAIN, ids=name_of)
def test_kubernetes_would_accept_them(document: dict[str, Any], version: str) -> None:
    validator.validate(document, version, strict=True)


@pytest.mark.parametrize("document", PLAIN, ids=name_of)
def test_a_field_that_does_not_exist_is_noticed(document: dict[str, Any]) -> None:
    wrong = copy.deepcopy(document)
    (wrong.get("spec") or wrong.get("template", {}).get("spec") or wrong)["replicaz"] = 1
    with pytest.raises(validator.ValidationError):
        validator.validate(wrong, VERSIONS[-1], strict=True)


def test_the_ray_cluster_has_only_fields_of_kuberay() -> None:
    spec = RAY["spec"]
    parts = {"spec": spec, "workerGroupSpecs": WORKERS}
    parts |= {name: spec[name] for name in ("autoscalerOptions", "headGroupSpec")}
    assert RAY["apiVersion"] == "ray.io/v1" and RAY.keys() == {"apiVersion", "kind", "metadata", "spec"}
    assert {name: set(part) for name, part in parts.items()} == RAY_FIELDS
    for group in (spec["headGroupSpec"], WORKERS):  # Ray's options are strings
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())


def test_rays_autoscaler_reads_the_ray_cluster() -> None:
    module = "ray.autoscaler._private.kuberay.autoscaling_config"
    config = pytest.importorskip(module, reason="pip install -r requirements-cluster.txt")
    cluster = copy.deepcopy(RAY)
    cluster["metadata"]["namespace"] = "avatar"
    derived = config._derive_autoscaling_config_from_ray_cr(cluster)
    assert derived["idle_timeout_minutes"] * 60 == RAY["spec"]["autoscalerOptions"]["idleTimeoutSeconds"]
    [head] = [one for name, one in derived["available_node_types"].items() if name == derived["head_node_type"]]
    [node] = [one for name, one in derived["available_node_types"].items() if name != derived["head_node_type"]]
    assert head["resources"]["CPU"] == 0 and SLOT not in head["resources"]
    assert (node["min_workers"], node["max_workers"]) == (0, WORKERS["maxReplicas"])
    assert node["resources"][SLOT] == 2 and node["resources"]["CPU"] == 4
    assert [*derived["available_node_types"]][1] == WORKERS["groupName"]


def variables(container: dict[str, Any]) -> dict[str, str | None]:
    """Return the variables of a container; None where the value comes from a Secret or from the pod."""
    found: dict[str, str | None] = {}
    for source in container.get("envFrom", []):
        if "configMapRef" in source:
            found |= of_kind("ConfigMap")[source["configMapRef"]["name"]]["data"]
        else:
            found |= dict.fromkeys(secrets()[source["secretRef"]["name"]])
    return found | {one["name"]: one.get("value") for one in container.get("env", [])}


def secrets() -> dict[str, set[str]]:
    """Return the keys of each Secret that the document has you make."""
    text = re.sub(r"\\\n\s*", "", (ROOT / "docs" / "cluster.md").read_text("utf-8"))
    found = re.findall(r"kubectl .*create secret generic (\S+) (.*)", text)
    return {name: set(re.findall(r"--from-literal=(\w+)=", keys)) for name, keys in found}


def test_variables_are_settings_of_this_program() -> None:
    names = {one.upper() for one in Settings.__dataclass_fields__} - {"HOST", "PORT", "ROOT_PATH"}
    names |= {"GRADIO_SERVER_NAME", "GRADIO_SERVER_PORT", "GRADIO_ROOT_PATH"}
    for container in containers():
        for name in variables(container):
            assert name in names or OTHERS_VARIABLES.fullmatch(name), name
    [web] = pods()["avatar-web"]["spec"]["containers"]
    given = {name: value or "x" * 32 for name, value in variables(web).items()}
    for name in ("POD_IP", "REDIS_PASSWORD"):  # used by those after them, as Kubernetes wants it
        given = {one: value.replace(f"$({name})", "10.0.0.5") for one, value in given.items()}
    settings = Settings.from_environment(given)
    slots = WORKERS["maxReplicas"] * int(re.findall(rf'{SLOT}\\": (\d+)', WORKERS["rayStartParams"]["resources"])[0])
    assert settings.slots_max == slots and settings.tasks_url and settings.store_url.startswith("s3://")
    assert settings.server_url == f"http://10.0.0.5:{settings.port}"
    order = [one["name"] for one in web["env"]]
    assert order.index("REDIS_PASSWORD") < order.index("TASKS_URL") and order.index("POD_IP") < order.index(
        "SERVER_URL"
    )
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN"):  # who lacks one is refused by Ray
        assert all(name in variables(one) for one in containers() if one["image"] == "avatar")


def test_no_secret_is_in_the_tree() -> None:
    assert not of_kind("Secret")
    made = secrets()
    for container in containers():
        for one in container.get("env", []):
            reference = one.get("valueFrom", {}).get("secretKeyRef")
            assert reference is None or reference["key"] in made[reference["name"]]
            assert reference or not re.search(r"TOKEN|PASSWORD|SECRET|KEY", one["name"]), one["name"]
    assert not any(re.search(r"TOKEN|PASSWORD|SECRET|KEY", name) for name in of_kind("ConfigMap")["avatar"]["data"])


def test_ports_and_names_agree() -> None:
    [web] = pods()["avatar-web"]["spec"]["containers"]
    [port] = web["ports"]
    assert str(port["containerPort"]) == variables(web)["GRADIO_SERVER_PORT"]
    assert f"EXPOSE {port['containerPort']}" in (ROOT / "Dockerfile").read_text()
    assert web["startupProbe"]["httpGet"]["path"] == web["readinessProbe"]["httpGet"]["path"] == SCRIPT
    services = of_kind("Service")
    for name, service in services.items():
        labels = pods()[name]["metadata"]["labels"]
        assert service["spec"]["selector"].items() <= labels.items()
        names = {one["name"] for container in pods()[name]["spec"]["containers"] for one in container["ports"]}
        assert all(one["targetPort"] in names for one in service["spec"]["ports"])
    [ingress] = of_kind("Ingress").values()
    for rule in ingress["spec"]["rules"]:
        assert rule["host"] in variables(web)["ALLOWED_HOSTS"].split(",")  # type: ignore[union-attr]
        for path in rule["http"]["paths"]:
            backend = path["backend"]["service"]
            assert backend["port"]["name"] in {one["name"] for one in services[backend["name"]]["spec"]["ports"]}
    tasks_url = variables(web)["TASKS_URL"] or ""
    assert f"@avatar-redis:{services['avatar-redis']['spec']['ports'][0]['port']}/" in tasks_url
    assert variables(web)["RAY_ADDRESS"] == f"{RAY['metadata']['name']}-head-svc:6379"  # as KubeRay names it
    labels = [pod["metadata"]["labels"] for pod in pods().values()]
    for policy in of_kind("NetworkPolicy").values():
        assert any(policy["spec"]["podSelector"]["matchLabels"].items() <= one.items() for one in labels)


def test_pods_run_without_rights_and_with_bounds() -> None:
    for pod in pods().values():
        security = pod["spec"]["securityContext"]
        assert security["runAsNonRoot"] and security["runAsUser"] and security["seccompProfile"]
    for container in containers():
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False and security["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}
        assert container["readinessProbe"] and container["livenessProbe"]
    assert "USER 1000" in (ROOT / "Dockerfile").read_text()


def test_a_pod_that_stops_has_time_for_its_tasks() -> None:
    [node], [web] = (pods()[name]["spec"]["containers"] for name in ("node", "avatar-web"))
    *command, seconds = node["lifecycle"]["preStop"]["exec"]["command"]
    assert command == ["python", "-m", "pipeline.cluster.drain", "--seconds"]
    subprocess.run([sys.executable, *command[1:-1], "--help"], cwd=ROOT, check=True, capture_output=True)
    drained = float(variables(web)["DRAIN_SECONDS"] or 0)
    assert float(seconds) == drained > Settings().max_seconds
    delay = float(web["lifecycle"]["preStop"]["exec"]["command"][-1])
    for name in ("node", "avatar-web"):
        assert pods()[name]["spec"]["terminationGracePeriodSeconds"] >= drained + delay + 10
    budgets = of_kind("PodDisruptionBudget")
    assert all(one["spec"]["maxUnavailable"] == 1 for one in budgets.values()) and len(budgets) == 2


def test_ray_is_the_one_that_is_required() -> None:
    lines = (ROOT / "requirements-cluster.txt").read_text().splitlines()
    [ray] = [Requirement(line) for line in lines if line.startswith("ray[")]
    assert ray.specifier.contains(RAY["spec"]["rayVersion"])
    image = (ROOT / "Dockerfile").read_text()
    assert "ARG REQUIREMENTS" in image and "requirements-cluster.txt" in (FOLDER / "kustomization.yaml").read_text()


def test_the_files_are_clean() -> None:
    rules = "{extends: default, rules: {line-length: {max: 120}, document-start: disable, braces: disable}}"
    lint = Path(sysconfig.get_path("scripts")) / "yamllint"
    done = subprocess.run([lint, "--strict", "-d", rules, FOLDER], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_one_command_gives_all_of_them_with_your_image() -> None:
    out = subprocess.run(["kubectl", "kustomize", FOLDER], capture_output=True, text=True, check=True).stdout
    made = list(yaml.safe_load_all(out))
    assert {name_of(one) for one in made} == {name_of(one) for one in DOCUMENTS}
    images = set(re.findall(r"image: (.*)", out))
    assert not images & {"avatar"} and any(one.startswith("registry.example/avatar:") for one in images)
    assert all(one["metadata"].get("namespace", "avatar") == "avatar" for one in made)
