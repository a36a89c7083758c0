//! A `ServiceAccount` comes in with its token, and may do what roles allow.

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use wavetank_json::{Value, json, to_value};
use wavetank_tests::wire::{Serve, client};

use crate::{runtime, send, wavetank};

/// A client of the served cluster with another token than those of the kubeconfig.
async fn client_with(token: &str, server: &Serve) -> Client {
    let mut file = Kubeconfig::read_from(server.kubeconfig()).expect("a kubeconfig");
    let users = file.auth_infos.iter_mut();
    for user in users.filter_map(|user| user.auth_info.as_mut()) {
        user.token = Some(token.to_owned().into());
    }
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
        .await
        .expect("a usable kubeconfig");
    Client::try_from(config).expect("a client")
}

#[test]
fn an_account_with_its_token_may_do_what_roles_allow() {
    let server = Serve::start(wavetank(), &["--rbac"]).expect("the server starts");
    runtime().block_on(async {
        let admin = client(&server.kubeconfig()).await.expect("a client");
        let path = "/api/v1/namespaces/default/serviceaccounts";
        let robot = json!({"metadata": {"name": "robot"}});
        assert_eq!(send(&admin, "POST", path, &robot).await.0, 201);
        let (_, answer) = send(&admin, "POST", &format!("{path}/robot/token"), &json!({})).await;
        let token = answer["status"]["token"].as_str().expect("a token");

        let account = client_with(token, &server).await;
        let review = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
        let (_, answer) = send(&account, "POST", review, &json!({})).await;
        assert_eq!(
            answer["status"]["userInfo"]["username"],
            "system:serviceaccount:default:robot"
        );
        let maps = "/api/v1/namespaces/default/configmaps";
        let (code, status) = send(&account, "GET", maps, &Value::Null).await;
        assert_eq!(code, 403);
        assert_eq!(
            status["message"],
            r#"configmaps is forbidden: User "system:serviceaccount:default:robot" cannot list resource "configmaps" in API group "" in the namespace "default""#
        );
        let bindings = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings";
        let binding = json!({"metadata": {"name": "robots"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
            "subjects": [{"kind": "ServiceAccount", "name": "robot", "namespace": "default"}]});
        assert_eq!(send(&admin, "POST", bindings, &binding).await.0, 201);
        assert_eq!(send(&account, "GET", maps, &Value::Null).await.0, 200);
        let map = json!({"metadata": {"name": "m"}});
        assert_eq!(send(&account, "POST", maps, &map).await.0, 403);

        // Who is asked about a token says whom it stands for, as the token does itself.
        let (_, me) = send(&admin, "POST", review, &json!({})).await;
        let file = Kubeconfig::read_from(server.kubeconfig()).expect("a kubeconfig");
        let file = to_value(file).expect("a kubeconfig is JSON");
        let about = json!({"spec": {"token": file["users"][0]["user"]["token"]}});
        let reviews = "/apis/authentication.k8s.io/v1/tokenreviews";
        let (code, answer) = send(&admin, "POST", reviews, &about).await;
        assert_eq!(code, 201);
        assert_eq!(answer["status"]["authenticated"], true);
        assert_eq!(answer["status"]["user"], me["status"]["userInfo"]);

        let stranger = client_with("nobody.knows.it", &server).await;
        assert_eq!(send(&stranger, "GET", maps, &Value::Null).await.0, 401);
    });
}
