//! etcd's Election service.

use proto::v3electionpb as wire;
use tonic::Status;

use super::later::later;

const ELECTIONS: &str = "etcdserver: elections are not available in this version";

/// Refuses every RPC.
pub(super) struct Election;

#[tonic::async_trait]
impl wire::election_server::Election for Election {
    type ObserveStream = tokio_stream::Empty<Result<wire::LeaderResponse, Status>>;

    later! { ELECTIONS;
        campaign(wire::CampaignRequest) -> wire::CampaignResponse;
        proclaim(wire::ProclaimRequest) -> wire::ProclaimResponse;
        leader(wire::LeaderRequest) -> wire::LeaderResponse;
        observe(wire::LeaderRequest) -> Self::ObserveStream;
        resign(wire::ResignRequest) -> wire::ResignResponse;
    }
}
