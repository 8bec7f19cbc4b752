package config_test
import ("testing";"strings";"fmt";"time";"nomadctld/config")
func TestPerf(t *testing.T){
 inFixture(t)
 var b strings.Builder
 for i:=0;i<300000;i++ { fmt.Fprintf(&b,"k%d=1\n",i) }
 for n,s:=range map[string]string{"keys":b.String(),"dots":strings.Repeat("a.",2000000)+"a=1","nest":"a="+strings.Repeat("[",2000000),"inline":"a="+strings.Repeat("{a=",1000000),"hdr":strings.Repeat("[a]\n",1000000),"word":strings.Repeat("a",4000000), "oneline":"x={"+strings.ReplaceAll(strings.TrimSpace(b.String()),"\n",",")+"}", "gen":"general={"+strings.ReplaceAll(strings.TrimSpace(b.String()[:1000000]),"\n",",")+"}"} {
  write(t,"p.toml",[]byte(s)); st:=time.Now(); _,f:=config.Load("p.toml",commands); fmt.Println(n,len(f),time.Since(st), f[0].String()[:min(150,len(f[0].String()))])
 }
}
