//! RPCs that exist but are not served: each answers `Unimplemented` and says what is missing.

/// Methods of a tonic service that refuse with a reason. Written out as `async_trait` would, because that does not look
/// into macros.
macro_rules! later {
    ($reason:expr; $($method:ident($request:ty) -> $response:ty;)*) => {$(
        fn $method<'life, 'future>(
            &'life self,
            _request: tonic::Request<$request>,
        ) -> std::pin::Pin<
            Box<dyn Future<Output = Result<tonic::Response<$response>, tonic::Status>> + Send + 'future>,
        >
        where
            'life: 'future,
            Self: 'future,
        {
            let refusal = internal_proto::Error::Unimplemented($reason);
            Box::pin(std::future::ready(Err(super::error::status(refusal))))
        }
    )*};
}

pub(super) use later;
