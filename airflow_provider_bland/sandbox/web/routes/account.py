"""Routes about the account and what belongs to it: organisation, voices, pathways, personas."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from airflow_provider_bland.sandbox.model import pathways, voices
from airflow_provider_bland.sandbox.model.batches import ORGANISATION
from airflow_provider_bland.sandbox.model.replies import Reply, coded_error, error
from airflow_provider_bland.sandbox.web.endpoints import Endpoints, json_object


def register(endpoints: Endpoints) -> None:
    """Add the routes."""
    sandbox, on = endpoints.sandbox, endpoints.on

    @on("GET", "/v1/me")
    async def me(request: Request) -> Reply:
        return Reply(sandbox.account())

    @on("GET", "/v1/orgs/{org_id}")
    async def organisation(request: Request) -> Reply:
        if request.path_params["org_id"] != ORGANISATION:
            return _no_organisation()
        return Reply({"data": _organisation(sandbox.preferences), "errors": None})

    @on("PATCH", "/v1/orgs/{org_id}/properties")
    async def properties(request: Request) -> Reply:
        if request.path_params["org_id"] != ORGANISATION:
            return _no_organisation()
        preferences = (await json_object(request)).get("preferences")
        if not isinstance(preferences, dict):
            return coded_error(400, "VALIDATION_ERROR", "preferences must be an object")
        sandbox.change_preferences(preferences)
        return Reply({"data": _organisation(sandbox.preferences), "errors": None})

    @on("GET", "/v1/orgs/{org_id}/billing")
    async def billing(request: Request) -> Reply:
        if request.path_params["org_id"] != ORGANISATION:
            return _no_organisation()
        balance = sandbox.account()["billing"]["current_balance"]
        return Reply({"data": {"current_balance": balance, "refill_amount": None, "refill_at": None}, "errors": None})

    @on("GET", "/v1/orgs/{org_id}/versions/{service}/current")
    async def version(request: Request) -> Reply:
        if request.path_params["org_id"] != ORGANISATION:
            return _no_organisation()
        service = request.path_params["service"]
        if service not in ("api_server", "ws_server"):
            return coded_error(400, "VALIDATION_ERROR", "service must be api_server or ws_server")
        return Reply({"data": {"service": service, "version": "sandbox"}, "errors": None})

    @on("GET", "/v1/voices")
    async def all_voices(request: Request) -> Reply:
        return Reply({"voices": voices.every()})

    @on("GET", "/v1/voices/{voice_id}")
    async def voice(request: Request) -> Reply:
        found = voices.find(request.path_params["voice_id"])
        return coded_error(404, "VOICE_NOT_FOUND", "Voice not found") if found is None else Reply({"voice": found})

    # The second is the one of Bland's command line client.
    @on("GET", "/v1/pathway")
    @on("GET", "/v1/convo_pathway")
    async def all_pathways(request: Request) -> Reply:
        return Reply([pathways.pathway(pathways.EXAMPLE_ID)])

    @on("GET", "/v1/pathway/{pathway_id}")
    async def pathway(request: Request) -> Reply:
        pathway_id = request.path_params["pathway_id"]
        found = pathways.pathway(pathway_id)
        return error(404, f'Pathway with ID "{pathway_id}" not found') if found is None else Reply(found)

    @on("GET", "/v1/pathway/{pathway_id}/versions")
    async def versions(request: Request) -> Reply:
        pathway_id = request.path_params["pathway_id"]
        found = pathways.versions(pathway_id)
        return error(404, f'Pathway with ID "{pathway_id}" not found') if found is None else Reply(found)

    # Which keys the reply has is not documented; there are no personas here.
    @on("GET", "/v1/personas")
    async def personas(request: Request) -> Reply:
        try:
            page = max(1, int(request.query_params.get("page") or 1))
            limit = min(100, max(1, int(request.query_params.get("limit") or 20)))
        except ValueError:
            return coded_error(400, "VALIDATION_ERROR", "page and limit must be integers")
        return Reply({"data": {"personas": [], "page": page, "limit": limit, "total_count": 0}, "errors": None})


def _organisation(preferences: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": ORGANISATION,
        "org_slug": "sandbox",
        "org_display_name": "Sandbox",
        "org_image_url": None,
        "org_plan": "starter",
        "org_creation_date": "2025-01-01T00:00:00.000Z",
        "kyc_level": 0,
        "placement_group": "blandshared",
        "is_deleted": False,
        "is_stripe_overdue": False,
        "is_suspended": False,
        "org_rate_limit": 5,
        "org_type": "normal",
        "entitlements": [],
        "preferences": preferences,
    }


def _no_organisation() -> Reply:
    return coded_error(404, "NOT_FOUND", f"Organization not found; the sandbox's is {ORGANISATION}")
