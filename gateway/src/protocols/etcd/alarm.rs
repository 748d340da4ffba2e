//! The alarms of a node, read from its status: etcd prints each as `memberID:1 alarm:NOSPACE `.

use proto::etcdserverpb::{AlarmMember, AlarmType};

/// The alarms among a node's errors.
pub(super) fn alarms(errors: &[String]) -> Vec<AlarmMember> {
    errors.iter().filter_map(|error| parse(error)).collect()
}

fn parse(error: &str) -> Option<AlarmMember> {
    let (member, alarm) = error.trim_end().strip_prefix("memberID:")?.split_once(" alarm:")?;
    let alarm = AlarmType::from_str_name(alarm)?;
    Some(AlarmMember { member_id: member.parse().ok()?, alarm: alarm.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alarms_are_told_from_other_errors() {
        let errors = ["etcdserver: no leader", "memberID:7 alarm:NOSPACE ", "memberID:x alarm:NOSPACE "];
        let expected = AlarmMember { member_id: 7, alarm: AlarmType::Nospace.into() };
        assert_eq!(alarms(&errors.map(str::to_owned)), [expected]);
    }
}
